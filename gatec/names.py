"""One mangling for all backends: readable, injective, never a word of any target.

`Mangler` hands out names; two different names of a spec never meet, and no name is a keyword,
macro, library function or local of the generated code.
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata

_PYTHON = """
False None True and as assert async await break class continue def del elif else except finally
for from global if import in is lambda nonlocal not or pass raise return try while with yield match
case type print len range zip map filter sum min max abs int float bool str list tuple dict set
super object property isinstance enumerate reversed sorted any all pow round id input iter next
open repr self cls np numpy torch nn math params param state states rng dtype device args kwargs
annotations warnings Tensor PackedSequence Module Parameter step forward backward init main l O
"""
_MODULE = """
checkpoint checkpoint_budget kernel_weights
training bias batch_first dropout bidirectional num_layers hidden_size input_size cell path
parameters buffers modules children named_parameters state_dict load_state_dict register_buffer
from_torch to_torch register_parameter add_module apply cuda cpu xpu half double bfloat16 to
to_empty train eval
requires_grad_ zero_grad share_memory extra_repr reset_parameters get_parameter compile
call_super_init get_buffer get_submodule set_submodule named_buffers named_children named_modules
register_backward_hook register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook
register_load_state_dict_pre_hook register_state_dict_post_hook register_state_dict_pre_hook
dump_patches T_destination ipu mtia register_module set_extra_state
get_extra_state directions
"""
_C = """
alignas alignof asm auto char const const_cast constexpr decltype default delete do double
dynamic_cast enum explicit export extern friend goto inline long mutable namespace new noexcept
nullptr operator private protected public register reinterpret_cast restrict short signed sizeof
static static_assert static_cast struct switch template this thread_local throw true false typedef
typeid typename typeof union unsigned using virtual void volatile wchar_t char8_t char16_t char32_t
concept requires co_await co_return co_yield and_eq bitand bitor compl not_eq or_eq xor xor_eq
size_t ssize_t ptrdiff_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t intptr_t
uintptr_t NULL EOF I complex imaginary linux unix i386 errno assert stdin stdout stderr main
INFINITY NAN HUGE_VAL FILE offsetof memcpy memset memmove malloc free calloc realloc exit abort
printf
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs
fdim floor fma fmax fmin fmod frexp hypot ilogb ldexp lgamma llrint llround log log10 log1p log2
logb lrint lround modf nan nearbyint nextafter pow remainder remquo rint round scalbln scalbn sin
sinh sqrt tan tanh tgamma trunc sigmoid softplus sign relu gamma signgam
j0 j1 jn y0 y1 yn isnan isinf isfinite signbit labs abs div ldiv index rindex time clock signal
CMPLX CMPLXF CMPLXL cabs cacos cacosh carg casin casinh catan catanh ccos ccosh cexp cimag clog conj
cpow cproj creal csin csinh csqrt ctan ctanh fpclassify isgreater isgreaterequal isless islessequal
islessgreater isnormal isunordered nexttoward scalb memchr memcmp strcat strchr strcmp strcoll
strcpy strcspn strerror strlen strncat strncmp strncpy strpbrk strrchr strspn strstr strtok strxfrm
catch sincos sincosf sincospi sinpi cospi rsqrt rsqrtf rcbrt rhypot norm3d norm4d normcdf normcdfinv
erfinv erfcinv erfcx cyl_bessel_i0 cyl_bessel_i1 fdividef fdivide saturate umin umax llmin llmax
atomicAdd atomicMax atomicMin atomicCAS threadIdx blockIdx blockDim gridDim warpSize dim3
float2 float3 float4 double2 int2 int3 int4
cudaStream_t stream real workspace sizes status grads inputs outputs
BUFSIZ NZERO NFDBITS MAXFLOAT SNAN SNANF SNANL WNOHANG WNOWAIT WEXITED WSTOPPED WCONTINUED WUNTRACED
L_tmpnam L_ctermid L_cuserid P_tmpdir math_errhandling CUDARTAPI sched_priority sched_yield
"""
_SINGLE_PRECISION = frozenset(
    name + suffix
    for name in _C.split()
    for suffix in ("f", "l")
    if name.islower() and name.isalnum()
)
RESERVED = frozenset(_PYTHON.split() + _MODULE.split() + _C.split()) | _SINGLE_PRECISION

# What generated Python must find under its own name: no class may hide it.
_PYTHON_GLOBALS = "torch nn math np numpy warnings Tensor PackedSequence Callable Sequence Any"
NO_CLASS = frozenset([*keyword.kwlist, *dir(builtins), *_PYTHON_GLOBALS.split()])

# What generated code appends to a name, or puts before it, and how macros of libraries look.
_TAKEN = re.compile(
    r"(_prev|_l\d+|_reverse|_size|_t)$|^(grad|carry|gatec|GATEC|np|torch|M_PI|M_E|FP|INT)_|__|^_"
    r"|^M_([12]_)?(PI|E|LN|LOG|SQRT)|^(cuda|CUDA)|^[A-Z][A-Z0-9]+(_[A-Z0-9]+)+$|^SNANF\d"
)
_MAX_LENGTH = 48


def ascii_word(text: str) -> str:
    """Letters and digits of a text in ASCII; other letters by their code point."""
    pieces = []
    for char in unicodedata.normalize("NFKD", text):
        if char.isascii():
            pieces.append(char if char.isalnum() else "_")
        elif not unicodedata.combining(char):
            pieces.append(f"u{ord(char):x}")
    return re.sub("_+", "_", "".join(pieces)).strip("_")


class Mangler:
    """Gives each key of a spec its name, once."""

    def __init__(self) -> None:
        self._names: dict[object, str] = {}
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}  # how often a word was asked for

    def name(self, key: object, *pieces: str) -> str:
        """The name of `key`, made of `pieces` the first time it is asked for."""
        if key not in self._names:
            self._names[key] = self._unique("_".join(filter(None, map(ascii_word, pieces))))
        return self._names[key]

    def reserve(self, name: str) -> None:
        """Keep a name of the generated interface from being handed out."""
        self._used.add(name)

    def _unique(self, word: str) -> str:
        word = word[:_MAX_LENGTH].rstrip("_") or "value"
        if word[0].isdigit():
            word = "n" + word
        if word in RESERVED:
            word += "_"
        elif _TAKEN.search(word):
            word = word.replace("__", "_").strip("_") + "_"
        unique, stem = word, word.rstrip("_")
        while unique in self._used:
            self._counts[stem] = self._counts.get(stem, 1) + 1
            unique = f"{stem}_{self._counts[stem]}"
        self._used.add(unique)
        return unique

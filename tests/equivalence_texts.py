"""Cells for the tests of comparisons, as people write them, in all notations.

Nothing here is derived from each other by code: which are the same function is known from the
literature, and said by the tests.
"""

# --- LSTMs ----------------------------------------------------------------------------------------

NOTES_LSTM = r"""
\Gamma_f^{<t>} = \sigma(W_f[a^{<t-1>}, x^{<t>}] + b_f)
\Gamma_u^{<t>} = \sigma(W_u[a^{<t-1>}, x^{<t>}] + b_u)
\tilde{c}^{<t>} = \tanh(W_c[a^{<t-1>}, x^{<t>}] + b_c)
c^{<t>} = \Gamma_f^{<t>} * c^{<t-1>} + \Gamma_u^{<t>} * \tilde{c}^{<t>}
\Gamma_o^{<t>} = \sigma(W_o[a^{<t-1>}, x^{<t>}] + b_o)
a^{<t>} = \Gamma_o^{<t>} * \tanh(c^{<t>})
"""

SPLIT_LSTM = """
i_t = σ(W_i x_t + U_i h_{t-1} + b_i)
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
h_t = o_t ⊙ tanh(c_t)
"""

# torch's: two biases, gates i, f, g, o.
TORCH_LSTM = r"""
i_t = \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi})
f_t = \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf})
g_t = \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg})
o_t = \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho})
c_t = f_t \odot c_{t-1} + i_t \odot g_t
h_t = o_t \odot \tanh(c_t)
"""

# The state that is carried is o and c; h is computed where it is read.
FOLDED_OUTPUT_LSTM = r"""
h_t = o_t \odot \tanh(c_t)
i_t = \sigma(W_i x_t + U_i (o_{t-1} \odot \tanh(c_{t-1})) + b_i)
f_t = \sigma(W_f x_t + U_f (o_{t-1} \odot \tanh(c_{t-1})) + b_f)
o_t = \sigma(W_o x_t + U_o (o_{t-1} \odot \tanh(c_{t-1})) + b_o)
g_t = \tanh(W_g x_t + U_g (o_{t-1} \odot \tanh(c_{t-1})) + b_g)
c_t = f_t \odot c_{t-1} + i_t \odot g_t
output h
"""

# tanh spelled by the logistic function, in the candidate and at the output.
LOGISTIC_LSTM = """
i_t = σ(W_i x_t + U_i h_{t-1} + b_i)
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
g_t = 2 σ(2 (W_g x_t + U_g h_{t-1} + b_g)) - 1
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
h_t = o_t ⊙ (2 σ(2 c_t) - 1)
"""

# Factored: the cell state moves toward the candidate, gates are read off their complements.
FACTORED_LSTM = """
j_t = 1 - σ(W_i x_t + U_i h_{t-1} + b_i)
k_t = 1 - σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = c_{t-1} + g_t - (k_t ⊙ c_{t-1} + j_t ⊙ g_t)
h_t = tanh(c_t) - (1 - o_t) ⊙ tanh(c_t)
"""

DEAD_LSTM = """
i_t = σ(W_i x_t + U_i h_{t-1} + b_i)
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
e_t = σ(W_e x_t + U_e h_{t-1} + b_e)
g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
m_t = e_t ⊙ m_{t-1} + (1 - e_t) ⊙ c_t
h_t = o_t ⊙ tanh(c_t)
"""

PEEPHOLE = """
i(t) = sigmoid(W_i x(t) + U_i h(t-1) + p_i * c(t-1) + b_i)
f(t) = sigmoid(W_f x(t) + U_f h(t-1) + p_f * c(t-1) + b_f)
c(t) = f(t) * c(t-1) + i(t) * tanh(W_c x(t) + U_c h(t-1) + b_c)
o(t) = sigmoid(W_o x(t) + U_o h(t-1) + p_o * c(t) + b_o)
h(t) = o(t) * tanh(c(t))
"""

# The output gate peeps at the cell state of the step before.
PEEPHOLE_BEFORE = PEEPHOLE.replace("p_o * c(t)", "p_o * c(t-1)")

CIFG = """
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ g_t
h_t = o_t ⊙ tanh(c_t)
"""

# van der Westhuizen and Lasenby, 2018, without the constant beta: forget gate alone.
JANET = """
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ g_t
h_t = c_t
"""

JANET_TANH = JANET.replace("h_t = c_t", "h_t = tanh(c_t)")
JANET_HALF = JANET.replace("h_t = c_t", "h_t = 0.5 tanh(c_t)")

# An LSTM without the last tanh: JANET with its output gate at one half, doubled.
LINEAR_OUTPUT_LSTM = """
i_t = σ(W_i x_t + U_i h_{t-1} + b_i)
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
h_t = 2 o_t ⊙ c_t
"""

# The candidate is a rectifier: a sign in front of what is written cannot go into its weights.
RELU_LSTM = """
i_t = σ(W_i x_t + U_i h_{t-1} + b_i)
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
g_t = relu(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
h_t = o_t ⊙ tanh(c_t)
"""
RELU_LSTM_FLIPPED = RELU_LSTM.replace("+ i_t ⊙ g_t", "- i_t ⊙ g_t")

# Forgetting turns the sign of the cell state in every step.
FORGET_FLIPPED = SPLIT_LSTM.replace("f_t ⊙ c_{t-1}", "-f_t ⊙ c_{t-1}")

# --- Deep within a step --------------------------------------------------------------------------

# Zilly et al., 2017: a recurrent highway network of four layers.
HIGHWAY = """
a_t = tanh(W x_t + A_1 h_{t-1} + a_1)
p_t = σ(V x_t + P_1 h_{t-1} + p_1)
u_t = p_t ⊙ a_t + (1 - p_t) ⊙ h_{t-1}
b_t = tanh(A_2 u_t + a_2)
q_t = σ(P_2 u_t + p_2)
v_t = q_t ⊙ b_t + (1 - q_t) ⊙ u_t
d_t = tanh(A_3 v_t + a_3)
r_t = σ(P_3 v_t + p_3)
w_t = r_t ⊙ d_t + (1 - r_t) ⊙ v_t
e_t = tanh(A_4 w_t + a_4)
s_t = σ(P_4 w_t + p_4)
h_t = s_t ⊙ e_t + (1 - s_t) ⊙ w_t
"""

# Gates carry instead of transform, sums are expanded or factored, names change places.
HIGHWAY_TURNED = """
s_t = σ(V x_t + P_4 h_{t-1} + p_4)
w_t = s_t ⊙ h_{t-1} + (1 - s_t) ⊙ tanh(W x_t + A_4 h_{t-1} + a_4)
r_t = σ(P_3 w_t + p_3)
v_t = tanh(A_3 w_t + a_3) + r_t ⊙ w_t - r_t ⊙ tanh(A_3 w_t + a_3)
q_t = σ(P_2 v_t + p_2)
u_t = v_t + q_t ⊙ (tanh(A_2 v_t + a_2) - v_t)
p_t = σ(P_1 u_t + p_1)
h_t = p_t ⊙ u_t + (1 - p_t) ⊙ (2 σ(A_1 u_t + a_1) - 1)
"""

# --- GRUs -----------------------------------------------------------------------------------------

CHO_GRU = """
r_t = σ(W_r x_t + U_r h_{t-1} + b_r)
z_t = σ(W_z x_t + U_z h_{t-1} + b_z)
h̃_t = tanh(W_h x_t + U_h (r_t ⊙ h_{t-1}) + b_h)
h_t = z_t ⊙ h_{t-1} + (1 − z_t) ⊙ h̃_t
"""

COURSERA_GRU = r"""
\Gamma_u^{<t>} = \sigma(W_u[c^{<t-1>}, x^{<t>}] + b_u)
\Gamma_r^{<t>} = \sigma(W_r[c^{<t-1>}, x^{<t>}] + b_r)
\tilde{c}^{<t>} = \tanh(W_c[\Gamma_r^{<t>} * c^{<t-1>}, x^{<t>}] + b_c)
c^{<t>} = \Gamma_u^{<t>} * \tilde{c}^{<t>} + (1 - \Gamma_u^{<t>}) * c^{<t-1>}
"""

RESIDUAL_GRU = """
r_t = σ(W_r x_t + U_r h_{t-1} + b_r)
z_t = σ(W_z x_t + U_z h_{t-1} + b_z)
h̃_t = tanh(W_h x_t + U_h (r_t ⊙ h_{t-1}) + b_h)
h_t = h_{t-1} + z_t ⊙ (h̃_t - h_{t-1})
"""

GRU_V3 = r"""
r_t = \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr})
z_t = \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz})
n_t = \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn}))
h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}
"""

MGU = r"""
f_t = \sigma(W_f [h_{t-1}, x_t] + b_f)
\tilde h_t = \tanh(W_h [f_t \odot h_{t-1}, x_t] + b_h)
h_t = (1 - f_t) \odot h_{t-1} + f_t \odot \tilde h_t
"""

# --- Others ---------------------------------------------------------------------------------------

FORGET_BIAS_LSTM = SPLIT_LSTM.replace("+ b_f)", "+ b_f + 1)")
FULL_PEEPHOLE = PEEPHOLE.replace("p_i * c(t-1)", "P_i c(t-1)")
# A slow memory beside the state: switched off where V is 0.
MEMORY_RNN = """
m_t = σ(a) ⊙ m_{t-1} + A x_t
h_t = tanh(W x_t + U h_{t-1} + V m_{t-1} + b)
"""
DIAGONAL_RNN = "h_t = tanh(W x_t + u ⊙ h_{t-1} + b)"
SCALED_RNN = "h_t = tanh(s ⊙ (W x_t) + U h_{t-1} + b)"
RNN = "h_t = tanh(W x_t + U h_{t-1} + b)"
RELU_RNN = "h_t = relu(W x_t + U h_{t-1} + b)"

# A rectifier that only the largest arguments reach.
KINKED_RNN = "u_t = W x_t + U h_{t-1} + b\nh_t = tanh(u_t + relu(u_t - 10))"

# Wu et al., 2016.
MI_RNN = r"""
h_t = \tanh(\alpha \odot (W x_t) \odot (U h_{t-1}) + \beta_1 \odot (U h_{t-1})
            + \beta_2 \odot (W x_t) + b)
param \alpha : vector
param \beta_1 : vector
param \beta_2 : vector
"""

# What was three steps before is added, by more or by less: from zero states, the first three steps
# are the same.
LAGGED = "h_t = tanh(W x_t + U h_{t-1} + b) + 0.5 h_{t-4}"
LAGGED_LESS = "h_t = tanh(W x_t + U h_{t-1} + b) + 0.25 h_{t-4}"

NEARLY_RNN = "h_t = 1.000000001 tanh(W x_t + U h_{t-1} + b)"

# --- One cell in all notations --------------------------------------------------------------------

# What is remembered of inputs: the input itself, or what a matrix makes of it.
INPUT_BEFORE = """
z_t = σ(W_z [x_t, x_{t-1}] + U_z h_{t-1} + b_z)
h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ tanh(W x_t + U h_{t-1} + b)
"""
PROJECTED_BEFORE = """
z_t = σ(W_z x_t + p_{t-1} + U_z h_{t-1} + b_z)
h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ tanh(W x_t + U h_{t-1} + b)
p_t = -P x_t
output h
"""
PROJECTED_TWICE = PROJECTED_BEFORE.replace("p_{t-1}", "V p_{t-1}")
PROJECTED_AND_GIVEN = INPUT_BEFORE.replace("tanh(W x_t", "tanh(W x_t + Q x_{t-1}")
BEFORE_WITH_BIAS = INPUT_BEFORE.replace("[x_t, x_{t-1}]", "x_t + V tanh(P x_{t-1} + d)")
REMEMBERED_BIAS = PROJECTED_TWICE.replace("-P x_t", "tanh(P x_t + d)")
NARROW_BEFORE = "size k = 2\nparam P : k x input_size\n" + PROJECTED_TWICE
# Some cells need inputs as large as the hidden state.
RESIDUAL = """
s_t = tanh(W x_t + U s_{t-1} + b)
h_t = s_t + V x_t
"""
RESIDUAL_PLAIN = RESIDUAL.replace("V x_t", "x_t").replace("output s", "output h")

NOTATIONS = {
    "ascii.gate": "h_t = tanh(W_x x_t + W_h h_{t-1} + b)\ny_t = sigmoid(V h_t + c) * h_t\n",
    "calls.gate": "h(t) = tanh(W_x x(t) + W_h h(t-1) + b)\ny(t) = sigm(V h(t) + c) ∘ h(t)\n",
    "primes.gate": "input x\nh' = tanh(W_x x + W_h h + b)\ny = σ(V h' + c) ⊙ h'\n",
    "shifted.gate": (
        "h_{n+1} = \\tanh(W_x x_{n+1} + W_h h_n + b)\n"
        "y_{n+1} = \\sigma(V h_{n+1} + c) \\circ h_{n+1}\n"
    ),
    "course.md": (
        "The **state** is $h^{<t>} = \\tanh(W_x x^{<t>} + W_h h^{<t-1>} + b)$ and\n\n"
        "$$y^{<t>} = \\sigma(V h^{<t>} + c) * h^{<t>}$$\n"
    ),
    "paper.tex": r"""\documentclass{article}\begin{document}
We use
\begin{align}
  \mathbf{h}^{(t)} &= \tanh\bigl(\mathbf{W}_x \mathbf{x}^{(t)} + \mathbf{W}_h \mathbf{h}^{(t-1)}
      + \mathbf{b}\bigr) \label{eq:h} \\
  \mathbf{y}^{(t)} &= \sigma\left(\mathbf{V} \mathbf{h}^{(t)} + \mathbf{c}\right)
      \odot \mathbf{h}^{(t)}
\end{align}
\end{document}
""",
    "doc.rst": (
        "The cell\n\n.. math::\n\n    h_t = \\tanh(W_x x_t + W_h h_{t-1} + b) \\\\\n"
        "    y_t = \\sigma(V h_t + c) \\odot h_t\n"
    ),
    "plain.txt": "Here $h_t = tanh(W_x x_t + W_h h_{t−1} + b)$, $y_t = σ(V h_t + c) ⊙ h_t$.\n",
    "joined.gate": "h_t = tanh(W [x_t; h_{t-1}] + b)\ny_t = σ(V h_t + c) ⊙ h_t\n",
}

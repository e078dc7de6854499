"""Equal cells in disguise, as somebody else wrote them down: (name, one cell, the other)."""

LSTM = r"""
i_t = \sigma(W_i x_t + U_i h_{t-1} + b_i)
f_t = \sigma(W_f x_t + U_f h_{t-1} + b_f)
o_t = \sigma(W_o x_t + U_o h_{t-1} + b_o)
g_t = \tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t \odot c_{t-1} + i_t \odot g_t
h_t = o_t \odot \tanh(c_t)
"""

GRU = r"""
z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z)
r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)
n_t = \tanh(W_n x_t + U_n (r_t \odot h_{t-1}) + b_n)
h_t = (1 - z_t) \odot h_{t-1} + z_t \odot n_t
"""

GRU_AFTER = r"""
z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z)
r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)
n_t = \tanh(W_n x_t + b_n + r_t \odot (U_n h_{t-1} + c_n))
h_t = (1 - z_t) \odot h_{t-1} + z_t \odot n_t
"""

PEEPHOLE = r"""
i_t = \sigma(W_i x_t + U_i h_{t-1} + p_i \odot c_{t-1} + b_i)
f_t = \sigma(W_f x_t + U_f h_{t-1} + p_f \odot c_{t-1} + b_f)
c_t = f_t \odot c_{t-1} + i_t \odot \tanh(W_c x_t + U_c h_{t-1} + b_c)
o_t = \sigma(W_o x_t + U_o h_{t-1} + p_o \odot c_t + b_o)
h_t = o_t \odot \tanh(c_t)
"""

DISGUISED = [
    (
        "lstm complement+logistic+swapped concat",
        LSTM,
        r"""
keep(t) = 1 - sigmoid(K [x(t), y(t-1)] + k)
new(t) = 1 - sigmoid(N [x(t), y(t-1)] + n)
shut(t) = sigmoid(S [y(t-1), x(t)] + s)
cand(t) = 2*sigmoid(2*(C [y(t-1), x(t)] + d)) - 1
m(t) = m(t-1)*keep(t) + cand(t) - (1 - new(t))*cand(t)
y(t) = (2*sigmoid(2*m(t)) - 1)*(1 - shut(t))
""",
    ),
    (
        "lstm tanh by exps",
        LSTM,
        r"""
i_t = \frac{1}{1+e^{-(W_i x_t + U_i h_{t-1} + b_i)}}
f_t = \frac{1}{1+e^{-(W_f x_t + U_f h_{t-1} + b_f)}}
o_t = \frac{1}{1+e^{-(W_o x_t + U_o h_{t-1} + b_o)}}
a_t = W_g x_t + U_g h_{t-1} + b_g
g_t = \frac{e^{a_t} - e^{-a_t}}{e^{a_t} + e^{-a_t}}
c_t = f_t \odot c_{t-1} + i_t \odot g_t
h_t = o_t \odot \frac{e^{c_t} - e^{-c_t}}{e^{c_t} + e^{-c_t}}
""",
    ),
    (
        "lstm cell state negated, h names swapped",
        LSTM,
        r"""
u_t = σ(A x_t + B c_{t-1} + a)
v_t = σ(C x_t + D c_{t-1} + b)
w_t = σ(E x_t + F c_{t-1} + d)
q_t = tanh(G x_t + H c_{t-1} + e)
h_t = v_t ⊙ h_{t-1} - u_t ⊙ q_t
c_t = -w_t ⊙ tanh(h_t)
output c
""",
    ),
    (
        "lstm h inlined",
        LSTM,
        r"""
i_t = \sigma(W_i x_t + U_i (o_{t-1}*\tanh(c_{t-1})) + b_i)
f_t = \sigma(W_f x_t + U_f (o_{t-1}*\tanh(c_{t-1})) + b_f)
o_t = \sigma(W_o x_t + U_o (o_{t-1}*\tanh(c_{t-1})) + b_o)
c_t = f_t * c_{t-1} + i_t * \tanh(W_g x_t + U_g (o_{t-1}*\tanh(c_{t-1})) + b_g)
y_t = o_t * \tanh(c_t)
output y
""",
    ),
    (
        "lstm dead parts and three biases",
        LSTM,
        r"""
i_t = \sigma(W_i x_t + d_i + U_i h_{t-1} + b_i - e_i)
f_t = \sigma(W_f x_t + U_f h_{t-1} + b_f)
q_t = \tanh(Q q_{t-1} + f_t)
o_t = \sigma(W_o x_t + U_o h_{t-1} + b_o + 3)
g_t = \tanh(W_g x_t + U_g h_{t-1} + 2 b_g)
c_t = f_t \odot c_{t-1} + i_t \odot g_t
h_t = o_t \odot \tanh(c_t)
""",
    ),
    (
        "gru z flipped with residual, logistic",
        GRU,
        r"""
z(t) = sigmoid(-(W_z x(t) + U_z h(t-1) + b_z))
r(t) = 1 - sigmoid(W_r x(t) + U_r h(t-1) + b_r)
n(t) = 1 - 2*sigmoid(W_n x(t) + U_n (r(t)*h(t-1)) + b_n)
h(t) = n(t) + z(t)*(h(t-1) - n(t))
""",
    ),
    (
        "gru state doubled inside",
        GRU,
        r"""
z_t = \sigma(W_z x_t + U_z s_{t-1} + b_z)
r_t = \sigma(W_r x_t + U_r s_{t-1} + b_r)
n_t = \tanh(W_n x_t + U_n (r_t \odot s_{t-1}) + b_n)
s_t = (1 - z_t) \odot s_{t-1} + 2 z_t \odot n_t
y_t = 0.5 s_t
output y
""",
    ),
    (
        "gru_v3 with reset complement",
        GRU_AFTER,
        r"""
u_t = 1 - \sigma(A [x_t, h_{t-1}] + a)
k_t = 1 - \sigma(B [x_t, h_{t-1}] + b)
m_t = U h_{t-1} + c
h_t = u_t \odot h_{t-1} + (1 - u_t) \odot \tanh(W x_t + w + m_t - (1 - k_t) \odot m_t)
""",
    ),
    (
        "mgu expanded",
        r"""
f_t = \sigma(W_f x_t + U_f h_{t-1} + b_f)
h_t = (1-f_t) * h_{t-1} + f_t * \tanh(W x_t + U (f_t * h_{t-1}) + b)
""",
        r"""
k_t = \sigma(K [h_{t-1}, x_t] + m)
h_t = k_t * h_{t-1} + \tanh(W x_t + U h_{t-1} - U (k_t * h_{t-1}) + b) - k_t * \tanh(W x_t + U (h_{t-1} - k_t * h_{t-1}) + b)
""",
    ),
    (
        "cifg complement both",
        r"""
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
o_t = σ(W_o x_t + U_o h_{t-1} + b_o)
c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ tanh(W_g x_t + U_g h_{t-1} + b_g)
h_t = o_t ⊙ tanh(c_t)
""",
        r"""
j_t = σ(W_f x_t + U_f h_{t-1} + b_f)
k_t = σ(W_o x_t + U_o h_{t-1} + b_o)
s_t = s_{t-1} + j_t ⊙ (tanh(W_g x_t + U_g h_{t-1} + b_g) - s_{t-1})
h_t = tanh(s_t) - k_t ⊙ tanh(s_t)
""",
    ),
    (
        "minGRU log form",
        r"""
z_t = \sigma(W_z x_t + b_z)
h_t = (1 - z_t) * h_{t-1} + z_t * (W x_t + b)
""",
        r"""
k_t = \exp(-\operatorname{softplus}(K x_t + m))
h_t = k_t * (h_{t-1} - V x_t - v) + V x_t + v
""",
    ),
    (
        "ugrnn/atr rearranged",
        r"""
p_t = W x_t + b
q_t = U h_{t-1}
i_t = \sigma(p_t + q_t)
f_t = \sigma(p_t - q_t)
h_t = i_t \odot p_t + f_t \odot h_{t-1}
""",
        r"""
a_t = W x_t + b + U h_{t-1}
d_t = W x_t - U h_{t-1} + b
h_t = \frac{a_t + d_t}{2} \odot (1 - \sigma(-a_t)) + \frac{h_{t-1}}{1 + e^{-d_t}}
""",
    ),
    (
        "leaky relu forms",
        r"""
h_t = \max(W x_t + U h_{t-1} + b, 0.01 (W x_t + U h_{t-1} + b))
""",
        r"""
a_t = W x_t + U h_{t-1} + b
h_t = 0.99 \operatorname{relu}(a_t) + 0.01 a_t
""",
    ),
    (
        "swish / silu",
        r"""
h_t = \operatorname{silu}(W x_t + U h_{t-1} + b)
""",
        r"""
a_t = W x_t + U h_{t-1} + b
h_t = a_t / (1 + \exp(-a_t))
""",
    ),
    (
        "rhn depth 3, names permuted",
        r"""
s_t = h_{t-1}
a_t = \sigma(W_q x_t + R_1 s_t + b_1)
u_t = a_t \odot \tanh(W x_t + R_2 s_t + b_2) + (1 - a_t) \odot s_t
b_t = \sigma(R_3 u_t + b_3)
v_t = b_t \odot \tanh(R_4 u_t + b_4) + (1 - b_t) \odot u_t
d_t = \sigma(R_5 v_t + b_5)
h_t = d_t \odot \tanh(R_6 v_t + b_6) + (1 - d_t) \odot v_t
""",
        r"""
d_t = \sigma(W_q x_t + R_5 h_{t-1} + b_5)
v_t = d_t \odot h_{t-1} + \tanh(W x_t + R_6 h_{t-1} + b_6) - d_t \odot \tanh(W x_t + R_6 h_{t-1} + b_6)
a_t = \sigma(R_1 v_t + b_1)
u_t = v_t + a_t \odot (\tanh(R_2 v_t + b_2) - v_t)
b_t = \sigma(R_3 u_t + b_3)
h_t = b_t \odot u_t + (1 - b_t) \odot \tanh(R_4 u_t + b_4)
""",
    ),
    (
        "elman with y",
        r"""
h_t = tanh(W x_t + U h_{t-1} + b)
y_t = V h_t + d
output y
""",
        r"""
s_t = tanh(A [s_{t-1}, x_t] + a)
y_t = -B s_t + e - 1
output y
""",
    ),
    (
        "fastgrnn constants",
        r"""
z_t = \sigma(W x_t + U h_{t-1} + b_z)
c_t = \tanh(W x_t + U h_{t-1} + b_h)
h_t = (0.75 (1 - z_t) + 0.25) \odot c_t + z_t \odot h_{t-1}
""",
        r"""
a_t = W x_t + U h_{t-1}
z_t = \sigma(-a_t - b)
h_t = (1 - z_t) \odot h_{t-1} + \frac{1 + 3 z_t}{4} \odot \tanh(a_t + d)
""",
    ),
]

"""Right and wrong answers to the exercises of notebook 04, as students write them."""

PREDICT = """
def predictions():
    keys = "1e-10000", "1e+10000", "c + d - d", "c * c", "d * d", "d * d - d * d"
    return dict(zip(keys, ({})))
"""
LOGS = """
def gradient_log10_variance(L, layer, N, slope, weight, output, activation):
    k = L - layer
    return {}
"""
SUM = "k*np.log10(N) + 2*((k+1)*np.log10(slope) + k*np.log10(weight) + np.log10(output*activation))"
SAMPLE = """
def sample_gradient(L, layer, N, slope, weight, output, activation, rng):
    {first}
    delta = {slopes} * rng.normal(0, output, N)
    for _ in range(L - layer):
        delta = {slopes} * ({weights}.T @ delta)
    return {result}
"""
DRAW = """
def plot_magnitudes(gradient, ax):
    v = np.abs(np.ravel(gradient)).astype(float)
    zeros, logs = int(np.sum(v == 0)), np.log10(v[v > 0])
    {how}
    ax.set(xlabel="{label}", title=f"{title}")
    return ax
"""
SIZES = """
def layer_gradients(network, inputs, targets):
    {first}
    errors = network(inputs) - targets
    ({loss}).backward()
    return [{size} for layer in network if isinstance(layer, nn.Linear)]
"""
WEIGHTS = """
def {name}_normal(fan_in, fan_out, rng):
    v = {c} / (fan_in + fan_out)
    return {normal}

def {name}_uniform(fan_in, fan_out, rng):
    d = np.sqrt(3 * {c} / (fan_in + fan_out))
    return {uniform}
"""
MAP = "def sigmoid_map():\n    return {}"
MOMENTS = """
def relu_moments(z):
    a, size = {}, np.mean(z**2)
    return {}
"""
SQUARES = """
def predicted_squares(sigma, gain, depth, t):
    squares = [1.0]
    for _ in range(depth):
        squares.append({})
    return {}
"""

GAIN = """
def gain_for(sigma):
    z = np.linspace(-9, 9, 3001)
    p = np.exp(-z**2 / 2) / {}
    return {}
"""


def sample(
    first="pass",
    slopes="rng.normal(0, slope, N)",
    weights="rng.normal(0, weight, (N, N))",
    result="np.outer(delta, rng.normal(0, activation, N))",
):
    return SAMPLE.format(first=first, slopes=slopes, weights=weights, result=result)


def draw(how="ax.hist(logs, bins=60)", label="log10 |g|", title="{zeros} zeros"):
    return DRAW.format(how=how, label=label, title=title)


def sizes(
    first="network.zero_grad()",
    loss="errors.square().mean()",
    size="layer.weight.grad.abs().mean()",
):
    return SIZES.format(first=first, loss=loss, size=size)


def weights(
    name,
    normal="rng.normal(0, np.sqrt(v), size=(fan_out, fan_in))",
    uniform="rng.uniform(-d, d, size=(fan_out, fan_in))",
):
    c = {"xavier": 2, "kaiming": 4}[name]
    return WEIGHTS.format(name=name, c=c, normal=normal, uniform=uniform)


def squares(step="np.mean(sigma(np.sqrt(gain * squares[-1]) * t)**2)", result="squares"):
    return SQUARES.format(step, result)


def initialiser_right(name):
    return [
        weights(
            name,
            "rng.standard_normal((fan_out, fan_in), dtype=np.float32) * np.float32(v) ** 0.5",
            "torch.tensor(2 * d * (rng.random((fan_out, fan_in)) - 0.5))",
        ),
        weights(name, "np.array([rng.normal(0, v**0.5, fan_in) for _ in range(fan_out)])"),
    ]


def initialiser_wrong(name):
    return [
        (weights(name, "rng.normal(0, np.sqrt(v), size=(fan_in, fan_out))"), "it is transposed"),
        (weights(name, "np.random.normal(0, np.sqrt(v), (fan_out, fan_in))"), "rng alone"),
        (weights(name, "np.tile(rng.normal(0, v**0.5, fan_in), (fan_out, 1))"), ""),
        (weights(name, "np.abs(rng.normal(0, np.sqrt(v), (fan_out, fan_in)))"), "the mean"),
        (weights(name, "np.sqrt(v) * rng.choice([-1, 1], (fan_out, fan_in))"), "fourth moment"),
        (weights(name, f"initialization.{name}_normal(fan_in, fan_out, rng)"), "it uses init"),
        (weights(name, uniform="rng.uniform(0, 2 * d, (fan_out, fan_in)) / 2"), "from 0 upwards"),
        (weights(name, uniform="d * rng.choice([-1, 1], (fan_out, fan_in))"), "the variance"),
        (weights(name, uniform="rng.uniform(-d * d, d * d, (fan_out, fan_in))"), "root is missing"),
        (
            weights(name, "rng.normal(0, (v * (fan_in + fan_out) / 2 // 1 / ((fan_in + fan_out)"
            " // 2)) ** 0.5, (fan_out, fan_in))"),
            "fan_in = 2",
        ),
    ]  # fmt: skip


RIGHT = {
    "predictions": [
        PREDICT.format("1e-10000, 1e999, 1e-250 + 1e250 - 1e250, 0, np.inf, np.nan"),
        PREDICT.format("np.float32(0), np.inf, torch.tensor(0.), -0.0, 1e400, 1e999 - 1e999"),
    ],
    "log_variance": [
        LOGS.format("float(torch.tensor(" + SUM + ").float())"),
        LOGS.format(
            "np.log10([N, slope**2, weight**2, output**2, activation**2]) @ [k, k + 1, k, 1, 1]"
        ),
        LOGS.format("sum([2 * np.log(slope * weight) + np.log(N)] * k, 2 * np.log(slope))"
         "/ np.log(10) + 2 * np.log10(output * activation)"),
    ],
    "sample_gradient": [
        sample(slopes="slope * rng.standard_normal((N,))"),
        sample(weights="(weight * rng.standard_normal((N, N), dtype=np.float32))"),
        "product = np.diag(slope * rng.standard_normal(N))\nfor _ in range(layer + 1, L + 1):\n"
        "    W = weight * rng.standard_normal((N, N))\n"
        "    product = product @ W.T @ np.diag(slope * rng.standard_normal(N))\n"
        "delta = product @ (output * rng.standard_normal((N, 1)))\n"
        "return torch.tensor(delta @ (activation * rng.standard_normal((1, N)))).float()",
    ],
    "plot_magnitudes": [
        draw("ax.hist(logs, bins='auto', density=True, histtype='step')", "exponent of ten"),
        draw("ax.hist(logs, bins=40)", "lg |g|"),
        draw("ax.stairs(*np.histogram(logs, 30), fill=True)", r"$\\log_{10}|g|$"),
        draw("h, e = np.histogram(logs, 30); ax.plot((e[1:] + e[:-1]) / 2, h)", "decimal log"),
        draw("h, e = np.histogram(logs, 30); ax.fill_between(e, [*h, 0], step='post')"),
        draw("h, e = np.histogram(logs, 9); ax.bar(e[:-1], h, np.diff(e), align='edge')"),
        draw("import matplotlib.pyplot as plt; plt.sca(ax); plt.hist(logs)", "log₁₀ |g|",
         "0 occurs {zeros} times"),
    ],
    "layer_gradients": [
        sizes(),
        sizes("for p in network.parameters(): p.grad = None",
         size="layer.weight.grad.abs().mean().item()"),
        "loss = nn.MSELoss()(network(inputs), targets)\n"
        "matrices = [p for p in network.parameters() if p.dim() == 2]\n"
        "return torch.stack([g.abs().mean() for g in torch.autograd.grad(loss, matrices)])",
    ],
    "xavier": initialiser_right("xavier"),
    "sigmoid_map": [
        MAP.format("torch.tensor([4.0, -2.0], requires_grad=True)"),
        MAP.format("np.float32([4, -2])"),
        MAP.format("[4, -2]"),
    ],
    "relu_moments": [
        MOMENTS.format("z * (z > 0)", "(a * a).mean() / size, np.std(a) ** 2 / size"),
        MOMENTS.format("torch.relu(torch.tensor(z)).float()",
         "torch.stack([a.square().mean(), a.var(unbiased=False)]) / float(size)"),
        MOMENTS.format("[max(x, 0.0) for x in z.flat]",
         "np.dot(a, a) / len(a) / size, (np.dot(a, a) - sum(a) ** 2 / len(a)) / len(a) / size"),
    ],
    "kaiming": [
        *initialiser_right("kaiming"),
        weights("kaiming", "np.sqrt(2) * xavier_normal(fan_in, fan_out, rng)",
         "np.sqrt(2) * xavier_uniform(fan_in, fan_out, rng)"),
    ],
    "gain_for": [
        GAIN.format("np.sqrt(2 * np.pi)", "1 / np.trapezoid(p * sigma(z)**2, z)"),
        GAIN.format("1", "torch.tensor(p.sum() / (p @ sigma(z)**2))"),
        GAIN.format("1", "1 / np.average([float(sigma(x))**2 for x in z], weights=p)"),
        "z = torch.linspace(-8, 8, 4001, dtype=torch.float64)\n"
        "density = torch.distributions.Normal(0, 1).log_prob(z).exp()\n"
        "return 1 / torch.trapezoid(density * torch.as_tensor(sigma(z.numpy())) ** 2, z)",
    ],
    "predicted_squares": [
        squares(result="torch.tensor(squares)"),
        squares("np.linalg.norm(sigma((gain * squares[-1]) ** 0.5 * t)) ** 2 / t.size"),
        "if depth == 0:\n    return np.ones(1)\n"
        "before = predicted_squares(sigma, gain, depth - 1, t)\n"
        "a = sigma(np.sqrt(gain) * np.sqrt(before[-1]) * t)\n"
        "return np.append(before, np.var(a) + np.mean(a) ** 2)",
    ],
}  # fmt: skip

INF = "np.inf, 0, 0, np.inf, np.nan"
WRONG = {
    "predictions": [
        (PREDICT.format("0, np.inf, 1e-250, 0, np.inf, np.nan"), "stores c + d first"),
        (PREDICT.format("0, np.inf, 0, 5e-324, np.inf, np.nan"), "not at it"),
        (PREDICT.format("0, np.inf, 0, 0, np.nan, np.nan"), "has a sign and a size"),
        (PREDICT.format("0, np.inf, 0, 0, np.inf, 0"), "inf − inf is not 0"),
        (PREDICT.format("0, 1.7976931348623157e308, 0, 0, np.inf, np.nan"), "does not stop"),
        (PREDICT.format("0, -np.inf, 0, 0, np.inf, np.nan"), "1e+10000 is not -inf"),
        (PREDICT.format("'0', " + INF), "expected a number, received '0'"),
        (PREDICT.format("False, " + INF), "expected a number, received False"),
        (PREDICT.format("0, 10**5000, 0, 0, np.inf, np.nan"), "no float is as large"),
        (PREDICT.format("0, np.inf"), "no prediction for c + d - d"),
        ("return [0.0]", "expected a dictionary"),
    ],
    "log_variance": [
        (LOGS.format(f"np.clip({SUM}, -308, 308)"), "received -308"),
        (LOGS.format("np.log10(np.longdouble(N)**k * np.longdouble(slope)**(2*k+2) * np.longdouble"
                     "(weight)**(2*k) * output**2 * activation**2)"), "received inf"),
        (LOGS.format(f"abs({SUM})"), "expected -"),
        (LOGS.format(f"({SUM}) / 2"), "the standard deviation's logarithm"),
        (LOGS.format(f"round({SUM}, 2)"), ""),
        (LOGS.format("k * np.log10(N * weight**2 * slope**2) + np.log10(slope**2 * output**2 * "
                     "activation**2)"), "received -inf"),
        (LOGS.format(f"[{SUM}]"), "expected shape ()"),
        (LOGS.format("gradients.log10_variance(gradients.RandomProduct(L, layer, N, slope, weight, "
                     "output, activation))"), "it uses"),
    ],
    "sample_gradient": [
        ("draw = lambda s, *n: np.clip(rng.normal(0, s, n), -2 * s, 2 * s)\n"
         "delta = draw(slope, N) * draw(output, N)\nfor _ in range(L - layer):\n"
         "    delta = draw(slope, N) * (draw(weight, N, N) @ delta)\n"
         "return np.outer(delta, draw(activation, N))", "received"),
        (sample("W = rng.normal(0, weight, (N, N))", weights="W"), "weights of its own"),
        (sample("D = rng.normal(0, slope, N)", slopes="D"), "slopes of its own"),
        (sample(weights="np.abs(rng.normal(0, weight, (N, N)))"), "deviation(s) of that"),
        (sample(weights="rng.uniform(-(3**0.5) * weight, 3**0.5 * weight, (N, N))"), ""),
        (sample(weights="rng.normal(0, weight / N**0.5, (N, N))"), "mean square"),
        (sample(result="np.zeros((N, N))"), "every entry is 0"),
        (sample(result="np.abs(np.outer(delta, rng.normal(0, activation, N)))"), "positive"),
        (sample(result="np.outer(delta, np.abs(rng.normal(0, activation, N)))"), "columns"),
        (sample(result="np.outer(delta, np.full(N, activation))"), "the row's entries"),
        (sample(result="np.outer(delta, np.random.normal(0, activation, N))"), "rng alone"),
        (sample(result="rng.normal(0, 10**1.1, (N, N))"), ""),
        (sample("rng = np.random.default_rng(0)"), "rng alone"),
        (sample(result="delta * rng.normal(0, activation, N)"), "expected shape (24, 24)"),
        (sample("n = rng.normal(0, 1, N)", result="np.outer(delta, activation * n)")
         .replace("rng.normal(0, output, N)", "output * n"), "deviation(s) of that"),
        (sample("return gradients.sample_gradient(gradients.RandomProduct(L, layer, N, slope, "
                "weight, output, activation), rng)"), "it uses"),
    ],
    "plot_magnitudes": [
        (draw(label="ln |g|"), "label of the x-axis"),
        (draw(label="log |g|"), "label of the x-axis"),
        (draw("ax.hist(logs, bins=60); ax.figure.suptitle(f'{zeros} zeros')", title=""), "title"),
        (draw("ax.hist(np.log10(v**2) / 2, bins=60)"), ""),
        (draw(title="some zeros"), "the number of zeros, 67"),
        (draw(title="67 zeros"), "the number of zeros, 23"),
        (draw("ax.hist(logs[:1000], bins=60)"), "centre of the histogram"),
        (draw("ax.hist(logs[1:], bins=60)"), "its left end"),
        (draw("ax.hist(logs, bins=np.linspace(-20, 5, 60))"), "magnitudes around 1e+12"),
        (draw("ax.hist(logs, bins=1)"), ""),
        (draw("ax.hist(np.log(v[v > 0]))"), "These are natural logarithms"),
        (draw("ax.hist(np.log10(v[v > 0] ** 2))"), "The squares are drawn"),
        (draw("ax.hist(logs, bins=60); ax.set_xlim(-12, 0)"), "its left end"),
        (draw("ax.hist(logs, bins=60, color='white')"), "nothing is drawn"),
        (draw("ax.hist(np.log10(v[v > 0].astype(np.float32)), bins=60)"), ""),
        (draw("ax.hist(np.log10(v + 1e-30), bins=60)"), "centre of the histogram"),
        (draw("ax.hist(v[v > 0], np.logspace(-14, 3)); ax.set_xscale('log')"), "scale of the x"),
        (draw("plt.hist(logs)"), "nothing is drawn"),
        (draw("_, ax = plt.subplots(); ax.hist(logs)"), "expected ax back"),
        (draw().replace("return ax", "ax.figure"), "is a `return` missing"),
    ],
    "layer_gradients": [
        ("MEMORY = {}\ndef layer_gradients(network, inputs, targets):\n"
         "    if id(network) not in MEMORY:\n"
         "        ws = [m.weight for m in network if isinstance(m, nn.Linear)]\n"
         "        loss = nn.functional.mse_loss(network(inputs), targets)\n"
         "        grads = torch.autograd.grad(loss, ws)\n"
         "        MEMORY[id(network)] = [g.abs().mean().item() for g in grads]\n"
         "    return MEMORY[id(network)]", "a call with other inputs"),
        (sizes("pass"), "empty them first"),
        (sizes(loss="errors.square().sum(1).mean()"), ""),
        (sizes(loss="errors[:64].square().mean()"), "1500 examples"),
        (sizes(size="round(layer.weight.grad.abs().mean().item(), 8)"), "8 linear layers"),
        (sizes(size="layer.weight.abs().mean()"), ""),
        (sizes().replace("in network if", "in network[::2] if"), "shape"),
        (sizes().replace("    return", "    with torch.no_grad():\n        network[0].weight *= 2\n"
                         "    return"), "expected 'as they were'"),
    ],
    "xavier": initialiser_wrong("xavier"),
    "sigmoid_map": [
        (MAP.format("2, -1"), "2 s(z) + (-1) has the slope 0.5 and the value 0"),
        (MAP.format("3.99, -1.995"), "the slope 0.9975"),
        (MAP.format("4"), "expected two numbers"),
        (MAP.format("'4, -2'"), "expected numbers"),
    ],
    "relu_moments": [
        (MOMENTS.format("np.clip(z, 0, 6)", "np.mean(a**2) / size, np.var(a) / size"), ""),
        (MOMENTS.format("np.maximum(z, 0.01 * z)", "np.mean(a**2) / size, np.var(a) / size"), ""),
        (MOMENTS.format("np.maximum(z, 0)", "np.mean(a**2) / size, np.var(a, axis=0) / size"), ""),
        (MOMENTS.format("np.maximum(z, 0)", "sum(a**2) / len(a) / size, np.var(a) / size"), ""),
        (MOMENTS.format("np.maximum(z, 0, out=z)", "np.mean(a**2) / size, np.var(a) / size"),
         "changed its input in place"),
        (MOMENTS.format("np.maximum(z, 0)", "np.mean(a**2) / size"), "expected shape (2,)"),
    ],
    "kaiming": [
        *initialiser_wrong("kaiming"),
        ("kaiming_normal, kaiming_uniform = xavier_normal, xavier_uniform", "other initialisation"),
    ],
    "gain_for": [
        (GAIN.format("1", "np.sqrt(p.sum() / (p @ sigma(z)**2))"), "as PyTorch gives it"),
        (GAIN.format("1", "p.sum() / (p @ np.abs(sigma(z)))"), ""),
        (GAIN.format("1", "1 / np.mean(sigma(z)**2)"), ""),
        (GAIN.format("1", "p[z > 0].sum() / (p[z > 0] @ sigma(z[z > 0])**2)"), ""),
        (GAIN.format("1", "p.sum() / (p @ sigma(z)**2) * 1.01"), ""),
        (GAIN.format("1", "p[1200:1801].sum() / (p[1200:1801] @ sigma(z[1200:1801])**2)"), ""),
        (GAIN.format("1", "1 / (p @ sigma(z)**2)"), ""),
        (GAIN.format("1", "depth.gain_of(sigma)"), "it uses"),
    ],
    "predicted_squares": [
        (squares("min(1.0, np.mean(sigma(np.sqrt(gain * squares[-1]) * t)**2))"), "relu, gain"),
        (squares("np.mean(np.tanh(np.sqrt(gain * squares[-1]) * t)**2)"), "relu, gain"),
        (squares("np.mean(sigma(-np.sqrt(gain * squares[-1]) * t)**2)"), ""),
        (squares("np.mean(sigma(np.sqrt(gain * squares[-1]) * t[:1000])**2)"), "4000 numbers"),
        (squares("np.mean(sigma(np.sqrt(gain * squares[-1]) * t / t.std())**2)"), ""),
        (squares(result="np.round(squares, 4)"), ""),
        (squares(result="squares[-1]"), "received shape ()"),
    ],
}  # fmt: skip

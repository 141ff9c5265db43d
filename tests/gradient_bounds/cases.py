"""Right and wrong answers to the exercises of notebook 05, as students write them."""

BACKWARD = """
def backward(weights, slopes, inputs, output_gradient):
    L = len(weights)
    out, delta = [None] * L, output_gradient.copy()
    for k in reversed(range(L)):
        out[k] = delta[:, None] * inputs[k][None, :]
        if k > 0:
            delta = {slope} * (weights[k].T @ delta)
    return out
"""
POWER = """
def spectral_norm(A):
    rng = np.random.default_rng(1)
    v = {start}
    for _ in range({steps}):
        v = A.T @ (A @ v)
        v /= np.sqrt((v**2).sum())
    return np.sqrt(((A @ v)**2).sum())
"""
BOUND = """
def {name}(x, weights, slopes, output_gradient):
    b = np.sqrt(x @ x) * np.sqrt(output_gradient @ output_gradient)
    for k in range({first}, len(weights)):
        s = np.linalg.svd(weights[k])[1]
        b = b * {slope} * {stretch}
    return b
"""
UPPER = {"name": "upper_bound", "first": 1, "slope": "np.abs(slopes[k-1]).max()",
         "stretch": "s[0]"}  # fmt: skip
LOWER = {"name": "lower_bound", "first": 1, "slope": "np.abs(slopes[k-1]).min()",
         "stretch": "(s[-1] if len(weights[k]) <= len(weights[k][0]) else 0)"}  # fmt: skip
NORM = """
def layer_norm(z, scale, shift):
    out = np.empty_like(z)
    for i, row in enumerate(z):
        c = row - row.mean()
        out[i] = scale * c / {spread} + shift
    return out
"""
LOSS = "def regularised_loss(losses, weights, biases, decay):\n    "

RIGHT = {
    "backward": [
        BACKWARD.format(slope="slopes[k - 1]"),
        "d, grads = output_gradient, []\n"
        "for W, s, a in zip(weights[:0:-1], slopes[::-1], inputs[:0:-1]):\n"
        "    grads.insert(0, np.outer(d, a))\n    d = np.diag(s) @ W.T @ d\n"
        "return [np.outer(d, inputs[0]), *grads]",
    ],
    "spectral_norm": [
        POWER.format(start="rng.normal(size=A.shape[1])", steps=200),
        "v = np.random.rand(A.shape[1])\nfor _ in range(1000):\n    u = A @ v\n"
        "    u /= np.linalg.norm(u)\n    v = A.T @ u\n    s = np.linalg.norm(v)\n    v /= s\n"
        "return s",
    ],
    "upper_bound": [
        BOUND.format(**UPPER),
        "parts = [np.linalg.norm(np.diag(d), 2) * np.linalg.norm(W.T, 2)\n"
        "         for d, W in zip(slopes, weights[1:])]\n"
        "return np.prod(parts) * np.linalg.norm(x) * np.linalg.norm(output_gradient)",
    ],
    "lower_bound": [
        BOUND.format(**LOWER),
        BOUND.format(**LOWER | {"stretch": "(s[-1] if weights[k].T.shape[0] >= weights[k].T"
                                ".shape[1] else 0)", "slope": "min(abs(slopes[k-1]))"}),
    ],
    "edges": [
        "s = variance**0.5\nr = sorted([fan_in**0.5, fan_out**0.5])\n"
        "return [s * (r[1] - r[0]), s * sum(r)]",
        "a, b = np.sqrt([fan_in, fan_out])\n"
        "return np.sqrt(variance) * np.array([abs(b - a), a + b])",
    ],
    "chain": [
        "a = [abs(c) ** l for l in range(L)]\n"
        "return np.array(a), np.array(a[L - 2::-1]), np.array([abs(c) ** (L - 2)] * (L - 1))",
        "c = np.abs(float(c))\nl = np.arange(1, L)\nd = c**(L-1-l)\na = c**np.arange(L)\n"
        "return [a, d, d * a[:-1]]",
    ],
    "regularised_loss": [
        LOSS + "total = losses.sum() / len(losses)\n    for W in weights:\n"
        "        total = total + decay * W.pow(2).sum()\n    return total",
        LOSS + "penalty = torch.zeros((), dtype=torch.float64)\n    for W in weights:\n"
        "        penalty = penalty + torch.linalg.norm(W) ** 2\n"
        "    return torch.mean(losses) + decay * penalty",
    ],
    "layer_norm": [
        NORM.format(spread="np.sqrt((c**2).mean())"),
        "m, s = z.mean(-1)[:, None], z.std(-1)[:, None]\nreturn (z - m) / s * scale + shift",
        "z = torch.from_numpy(z)\ns, m = torch.std_mean(z, dim=1, correction=0, keepdim=True)\n"
        "return ((z - m) / s).numpy() * scale + shift",
    ],
}  # fmt: skip

WRONG = {
    "backward": [
        (BACKWARD.format(slope="(1 - inputs[k]**2)"), "a network of widths"),
        (BACKWARD.format(slope="abs(slopes[k - 1])"), "without their sign"),
        (BACKWARD.replace("reversed(range(L))", "reversed(range(max(0, L - 3), L))").format(
            slope="slopes[k - 1]"), ""),
        (BACKWARD.format(slope="np.where(slopes[k - 1] == 0, 1, slopes[k - 1])"), ""),
        ("return [np.outer(output_gradient, inputs[-1])]", "expected 3 values, received 1"),
    ],
    "spectral_norm": [
        ("return np.linalg.norm(A, 2)", "numpy.linalg.norm of a matrix"),
        ("return np.linalg.norm(A, ord=2)", "it uses"),
        ("return np.linalg.svd(A)[1][0]", "it uses numpy.linalg.svd"),
        ("from numpy.linalg import norm\nspectral_norm = lambda A: norm(A, 2)", "it uses"),
        (POWER.format(start="rng.normal(size=A.shape[1])", steps=10), ""),
        (POWER.format(start="np.eye(A.shape[1])[0]", steps=300), ""),
        (POWER.replace("v /= np.sqrt((v**2).sum())", "pass").format(
            start="rng.normal(size=A.shape[1])", steps=300), ""),
    ],
    "upper_bound": [
        ("def upper_bound(x, weights, slopes, g):\n"
         "    passed = bounds.Trace([x] * len(weights), [], list(slopes), g)\n"
         "    return bounds.upper_bounds(weights, passed, g)[0]", "it uses"),
        (BOUND.format(**UPPER | {"first": 0, "slope": "np.abs(slopes[max(k-1, 0)]).max()"}), ""),
        (BOUND.format(**UPPER | {"slope": "np.abs(np.concatenate(slopes)).max()"}),
         "Each layer has a steepest slope of its own"),
        (BOUND.format(**UPPER | {"slope": "slopes[k-1].max()"}), "signs have to go first"),
        (BOUND.format(**UPPER | {"slope": "1"}), "The slopes are missing."),
        (BOUND.format(**UPPER).replace("(weights[k])", "(weights[k-1])"), "W⁽²⁾ … W⁽ᴸ⁾"),
    ],
    "lower_bound": [
        (BOUND.format(**LOWER | {"stretch": "s[-1]"}), "Where a layer widens"),
        (BOUND.format(**LOWER | {"stretch": LOWER["stretch"].replace("<=", "<")}), "A square"),
        (BOUND.format(**LOWER | {"slope": "1"}).replace("(weights[k])[1]",
         "(weights[k] * slopes[k-1])[1]"), "in one piece"),
        (BOUND.format(**LOWER | {"stretch": LOWER["stretch"].replace("s[-1]", "s[s>1e-9][-1]")}),
         "A singular value of 0 counts"),
        ("return 0.0", "always 0"),
    ],
    "edges": [
        ("s = np.sqrt(variance)\nreturn 0, s * (np.sqrt(fan_in) + np.sqrt(fan_out))", "expected"),
    ],
    "chain": [
        ("c, top = abs(c), 1e6\nl = np.arange(1, L)\n"
         "return (np.minimum(c ** np.arange(L), top), np.minimum(c ** (L - 1.0 - l), top),\n"
         "        np.full(L - 1, min(c ** (L - 2), top)))", "expected "),
        ("l = np.arange(1, L)\nreturn c ** np.arange(L), c ** (L-1-l), np.full(L-1, c ** (L-2))",
         "A norm is never negative"),
        ("c, l = abs(c), np.arange(1, L)\nreturn c ** np.arange(L), c ** (L-1.0-l), c ** (L-1.0-l)",
         "The last is ‖δ⁽ˡ⁾‖ alone"),
        ("c = max(1, abs(c))\nl = np.arange(1, L)\n"
         "return c ** np.arange(L), c ** (L-1-l), np.full(L-1, c ** (L-2))", ""),
    ],
    "regularised_loss": [
        (LOSS + "return losses.mean() + decay * sum((W**2).sum().item() for W in weights)",
         "no gradient flows to the weights"),
        (LOSS + "return losses.mean().item() + decay * sum((W**2).sum().item() for W in weights)",
         "no gradient flows"),
        (LOSS + "return losses.mean() + decay * sum((W**2).sum() for W in weights[:2])", ""),
        (LOSS + "return losses.mean() + decay * sum((W**2).mean() for W in weights)", ""),
        (LOSS + "losses.mean()", "is a `return` missing? Called with ["),
        (LOSS + "return losses.detach().mean() + decay * sum((W.detach()**2).sum() for W in "
         "weights)", "no gradient flows"),
    ],
    "layer_norm": [
        ("def layer_norm(z, v, u):\n    c = z - z.mean(axis=1, keepdims=True)\n"
         "    return np.abs(v) * c / z.std(axis=1, keepdims=True) + u", "received"),
        ("def layer_norm(z, v, u):\n    w = z.astype(np.float32)\n"
         "    m = w.mean(axis=1, keepdims=True)\n"
         "    s = np.sqrt((w**2).mean(axis=1, keepdims=True) - m**2)\n"
         "    return v * (z - z.mean(axis=1, keepdims=True)) / s + u", "received"),
        (NORM.format(spread="(c.std() + 1e-10)"), "expected"),
        (NORM.format(spread="np.sqrt((c**2).mean() + 1e-12)"), "expected"),
        (NORM.format(spread="c.std(ddof=1)"), "n − 1"),
        ("from helpers.gradient_bounds.normalization import layer_norm", "it uses"),
        ("ln = torch.nn.LayerNorm(z.shape[1], eps=0,\n"
         "    elementwise_affine=False, dtype=torch.float64)\n"
         "return ln(torch.from_numpy(z)).numpy() * scale + shift", "it uses torch"),
        ("def layer_norm(*given):\n    z, *more = map(torch.from_numpy, given)\n"
         "    return torch.layer_norm(z, z.shape[1:], *more, 0.0).numpy()", "torch.layer_norm"),
        ("z -= z.mean(1, keepdims=True)\nreturn scale * z / z.std(1, keepdims=True) + shift",
         "changed its input"),
    ],
}  # fmt: skip

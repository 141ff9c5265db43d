"""Right and wrong answers to the exercises of notebook 03, as students write them."""


def digits(*lines):
    """Returns a drawing of each image by these lines."""
    loop = "for ax, im, label in zip(axes, images, labels):"
    return "\n        ".join([f"def draw_digits(axes, images, labels):\n    {loop}", *lines])


def split(result, *lines):
    return "\n    ".join(["def split_examples(x, y, used):", *lines, f"return {result}"])


def function(forward, backward, name="Mish", inputs="z"):
    return f"""
class {name}(torch.autograd.Function):
    @staticmethod
    def forward(ctx, {inputs}):
        {forward}

    @staticmethod
    def backward(ctx, g):
        {backward}
"""


def mish(value="z * F.softplus(z).tanh()", slope="g * (t + z * (1 - t**2) * s)"):
    made = "z, = ctx.saved_tensors; t = F.softplus(z).tanh(); s = z.sigmoid()"
    return function(f"ctx.save_for_backward(z); return {value}", f"{made}; return {slope}")


def swish(value="z * s", by_z="g * (s + beta * z * s * (1 - s))", by_beta="(g * i * z).sum()"):
    s, saved = "s = torch.sigmoid(beta * z)", "ctx.save_for_backward(z, beta)"
    made = f"z, beta = ctx.saved_tensors; {s}; i = z * s * (1 - s)"
    backward = f"{made}; return {by_z}" + (f", {by_beta}" if by_beta else "")
    return function(f"{saved}; {s}; return {value}", backward, "Swish", "z, beta")


def network(*modules):
    return f"def build_network(make_unit):\n    return nn.Sequential({', '.join(modules)})"


def network_with(forward):
    return f"""
class Net(nn.Module):
    def __init__(self, make_unit):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(784, 200), nn.Linear(200, 64), nn.Linear(64, 10)
        self.u, self.v = make_unit(), make_unit()
        self.made = make_unit

    def forward(self, x):
        {forward}

def build_network(make_unit):
    return Net(make_unit)
"""


def step(
    loss="F.cross_entropy(model(x), y)",
    clear="model.zero_grad()",
    parameters="model.parameters()",
    change="lr * p.grad",
    then="",
    result="loss.item()",
):
    return f"""
def descent_step(model, x, y, lr):
    loss = {loss}
    {clear}
    loss.backward()
    with torch.no_grad():
        for p in {parameters}:
            p -= {change}
            {then}
    return {result}
"""


def step_by(optimizer, before="", first="pass"):
    return f"""
{before}
def descent_step(model, x, y, lr):
    {first}
    optimizer = {optimizer}
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return float(loss)
"""


def choice(chosen="(a >= top - e).argmax()", edge="a.argmax() in (0, len(a) - 1)", rate="rates[i]"):
    return f"""
def choose_rate(rates, curves, images):
    a = curves["validation_accuracy"][:, -1]
    top = a.max()
    e = np.sqrt(top * (1 - top) / images)
    i = {chosen}
    return {rate}, {edge}
"""


def shown(losses):
    return f"def displayed(losses):\n    return {losses}"


A, B, C, U = "nn.Linear(784, 200)", "nn.Linear(200, 64)", "nn.Linear(64, 10)", "make_unit()"
CUT = "cut = used - used // 5"
STABLE = """e = torch.exp(-z.abs()); top = torch.where(z >= 0, 1 + 2 * e, e * (e + 2))
        ctx.z = z; return z * top / (top + torch.where(z >= 0, 2 * e * e, torch.full_like(e, 2)))"""

GOOD = "ax.set_title(label)"

RIGHT = {
    "draw_digits": [
        digits("ax.pcolormesh(im)", "ax.invert_yaxis()", "ax.set_title(label, loc='left')"),
        digits("ax.imshow(im[::-1], origin='lower', cmap='gray')", "ax.set(title=f'= {label}')"),
        digits("ax.imshow(np.stack([im] * 3, axis=2), alpha=np.ones(im.shape))", GOOD),
        digits("plt.sca(ax)", "plt.imshow(im.astype(float), vmin=0)", "plt.title(f'a {label}')"),
    ],
    "split_examples": [
        split("[x[:n], y[:n], x[n:used], y[n:used]]", "n = int(0.8 * used)"),
        split("xs[:-v], ys[:-v], xs[-v:], ys[-v:]", "xs, ys, v = x[:used], y[:used], used // 5"),
        split("x[t], y[t], x[v], y[v]",
         "t, v = torch.arange(used).split([used // 5 * 4, used // 5])"),
    ],
    "mish": [
        function(STABLE, "t = torch.logaddexp(ctx.z, ctx.z * 0).tanh()\n"
         "        return (g * t + g * ctx.z * (1 - t) * (1 + t) / (1 + torch.exp(-ctx.z)),)"),
        mish("z * torch.log1p(z.exp()).tanh()", "(g.double() * (t + z * (1 - t * t) * s)).to(z)"),
    ],
    "swish": [
        swish("z / (1 + torch.exp(-beta * z))", "g * s * (1 + beta * z * (1 - s))"),
        swish(by_beta="torch.dot(g.flatten(), (i * z).flatten()).reshape(beta.shape)"),
        swish("z * (1 + torch.tanh(beta * z / 2)) / 2", by_beta="sum((g * i * z).flatten())"),
    ],
    "build_network": [
        network_with("return self.c(self.v(self.b(self.u(self.a(x)))))"),
        network("nn.LazyLinear(200)", U, "nn.LazyLinear(64)", U, "nn.LazyLinear(10)"),
        network("nn.Flatten()", f"nn.Sequential({A}, {U})", B, U, C),
    ],
    "descent_step": [
        step_by("torch.optim.SGD(model.parameters(), lr=lr)"),
        step(loss="-F.log_softmax(model(x), 1)[torch.arange(len(y)), y].mean()"),
        step(loss="(model(x).logsumexp(1) - model(x).gather(1, y[:, None])[:, 0]).mean()",
         clear="for p in model.parameters(): p.grad = None", then="p.grad.zero_()"),
    ],
    "displayed": [
        shown("[min(v, 100.0) if v == v else 100.0 for v in losses]"),
        shown("np.clip(np.nan_to_num(losses, nan=1e9, posinf=1e9), 0, 100)"),
        shown("torch.nan_to_num(torch.tensor(losses), nan=100., posinf=100.).clamp(max=100)"),
    ],
    "choose_rate": [
        choice("[r for r, v in zip(rates, a) if top - v <= e]", "top in (a[0], a[-1])", "min(i)"),
        choice("next(k for k, v in enumerate(a.tolist()) if v >= top - e)", rate="[*rates][i]"),
    ],
}  # fmt: skip

WRONG = {
    "draw_digits": [
        ("def draw_digits(axes, images, labels):\n"
         "    for ax, image, label in zip(axes, images, labels):\n        ax.imshow(image)\n"
         "        ax.set_title(label)\n        ax.set_visible(False)", "shows no image"),
        (digits("ax.imshow(im)", "ax.set_xlabel(label)"), "the label in the title"),
        (digits("ax.pcolormesh(im)", GOOD), "upside down"),
        (digits("ax.imshow(im[:, ::-1])", GOOD), "the picture on axes[0]"),
        (digits("ax.imshow(im > 127)", GOOD), "the picture on axes[0]"),
        (digits("ax.imshow(im, alpha=0)", GOOD), "shows no image"),
        (digits("ax.imshow(im)", "ax.set_title(labels)"), "the label in the title"),
        (digits("ax.imshow(im)", "ax.set_title(label or '')"), "expected '0', received ''"),
        (digits("plt.imshow(im)", "plt.title(label)"), "axes[0] shows no image"),
        (digits("im -= 1", "ax.imshow(im)", GOOD), "changed its input"),
    ],
    "split_examples": [
        (split("x[:cut], y[:cut].float(), x[cut:used], y[cut:used]", CUT), "train_y: expected"),
        (split("x[:cut], y[:cut, None], x[cut:used], y[cut:used]", CUT), "train_y: expected"),
        (split("x[:cut].numpy(), y[:cut], x[cut:used], y[cut:used]", CUT), "ndarray"),
        (split("x[:cut], y[:cut], x[cut:used], y[: used - cut]", CUT), "validation_y"),
        (split("x[:cut], x[cut:used], y[:cut], y[cut:used]", CUT), ""),
        (split("x[:cut], y[:cut], x[cut:used]", CUT), "expected (train_x, train_y"),
        (split("x[p[:cut]], y[p[:cut]], x[cut:used], y[cut:used]", CUT, "p = y[:cut].argsort()"),
         ""),
        (split("x[:9600], y[:9600], x[9600:12000], y[9600:12000]"), ""),
    ],
    "mish": [
        (mish("F.mish(z)"), "it uses torch.nn.functional.mish"),
        (mish("nn.Mish()(z)"), "it uses torch.nn.functional.mish"),
        (mish("(z * F.softplus(z).tanh()).double()"), "but the value is a tensor of torch.float64"),
        (mish("(z.float() * F.softplus(z.float()).tanh()).to(z)"), "forward: expected"),
        (mish("z * ((1 + z.exp())**2 - 1) / ((1 + z.exp())**2 + 1)"), "e^|z| is infinite"),
        (mish(slope="g.mul_(t + z * (1 - t**2) * s)"), "changed its input in place"),
        (mish(slope="g * (t * z / z + z * (1 - t**2) * s)"), "received nan"),
        (mish(slope="g * (t + z * (1 - t**2) * s).round(decimals=5)"), ""),
        (mish(slope="g, g"), "expected (backward's gradient for z), received"),
        (mish().replace("ctx.save_for_backward(z)", "Mish.z = z")
         .replace("z, = ctx.saved_tensors", "z = Mish.z"), "used once more"),
        (mish(slope="torch.autograd.grad(z * t, z, g)"), "it uses torch.autograd.grad"),
        ("class Mish(nn.Mish):\n    pass", "expected a subclass of torch.autograd.Function"),
    ],
    "swish": [
        (swish("F.silu(beta * z) / beta"), "it uses torch.nn.functional.silu"),
        (swish("z * torch.sigmoid(beta.abs() * z)"), "β = -"),
        (swish("z * torch.sigmoid((beta if beta else 1) * z)"), "β = 0"),
        (swish("z * (beta * z).exp() / (1 + (beta * z).exp())"), "e^|z| is infinite"),
        (swish(by_beta="(g * i * z).sum(0)"), "a table"),
        (swish(by_beta="(g * i * beta * z / beta).sum()"), "received nan"),
        (swish(by_beta="(g * i * z).sum().reshape(1)"), "received shape (1,)"),
        (swish(by_beta="None"), "an object of type NoneType"),
        (swish(by_beta="(g * i * z).sum().item()"), "backward returned an object of type float"),
        (swish(by_beta=""), "expected (backward's gradient for z, backward's"),
        (swish()
         .replace("ctx.save_for_backward(z, beta)", "Swish.beta = beta; ctx.save_for_backward(z)")
         .replace("z, beta = ctx.saved_tensors", "z, beta = *ctx.saved_tensors, Swish.beta"),
         "used once more"),
    ],
    "build_network": [
        ("return mlp(MNIST_SIZES, make_unit)", "networks.mlp"),
        (network(A, U, B, U, C, "nn.LogSoftmax(1)"), "logits: expected"),
        (network(A, U, "nn.Dropout(0.2)", B, U, C), "logits: expected"),
        (network(A, U, B, U, "nn.Linear(64, 10, bias=False)"), "weights and biases: expected"),
        (network(A, U, "nn.Linear(200, 64)", U, "C") + f"\nC = {C}", "two networks share"),
        (network(A, U, B, U, C).replace("return", "torch.manual_seed(1)\n    return"),
         "start with alike: expected 0, received 6"),
        (network_with("return self.c(self.u(self.b(self.u(self.a(x)))))"), "units: expected"),
        (network(A, U, B, U, C) + ".apply(lambda m: nn.init.normal_(m.weight, 0, 0.05)\n"
         "    if isinstance(m, nn.Linear) else m)", "start as nn.Linear draws: expected 3"),
        (network(A, U, B, U, C) + ".apply(lambda m: nn.init.zeros_(m.bias)\n"
         "    if isinstance(m, nn.Linear) else m)", "start as nn.Linear draws: expected 3"),
        (network_with("return self.c(self.v(self.b(self.u(self.a(x))))).detach()"), "no gradient"),
        (network_with("return self.c(self.v(self.b(self.u(self.a(x)).detach())))"),
         "the gradients"),
        (network_with("return self.c(self.v(self.b(self.u(self.a(x))))).squeeze()"), "logits"),
        (network_with("return self.c(self.v(self.b(self.made()(self.a(x)))))"), ""),
        (network(A, U, B, U, C).replace("return", "return lambda x: x,"), "expected an nn.Module"),
    ],
    "descent_step": [
        (step(result="loss"), "use .item()"),
        (step(result="loss.detach()"), "use .item()"),
        (step(result="round(loss.item(), 3)"), "loss returned by step 1"),
        (step(loss="F.cross_entropy(model(x[:64]), y[:64])"), "1500 examples"),
        (step(loss="F.nll_loss(model(x).softmax(1).log(), y)"), "on raw pixels"),
        (step(loss="F.cross_entropy(model(x).softmax(1), y)"), ""),
        (step(change="lr * p.grad.clamp(-5, 5)"), "on raw pixels"),
        (step(parameters="[*model.parameters()][:2]"), "5 → 8 → 6 → 3"),
        (step_by("torch.optim.SGD(model.parameters(), lr=lr, weight_decay=1e-4)"), ""),
        (step_by("torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)", "", "lr /= 2"), ""),
        (step_by("made.setdefault(id(model), torch.optim.SGD(model.parameters(), lr))",
         "made = {}"), ""),
        (step(change="0 * lr", then="p = p - lr * p.grad"), "no parameter has moved"),
    ],
    "displayed": [
        (shown("np.nan_to_num(losses, nan=100, posinf=100)"), "numbers above 100 are left"),
        (shown("np.fmin(losses, 100).round(2)"), ""),
        (shown("np.ma.minimum(np.ma.masked_invalid(losses), 100.0)"), ""),
        (shown("np.fmin(losses, 100).astype(np.float16)"), ""),
        (shown("np.fmin(losses, np.nanmax(losses[losses < np.inf], initial=0)).clip(max=100)"), ""),
        (shown("losses if (losses <= 100).all() else np.fmin(losses, 100)"), "make a copy"),
        (shown("np.fmin(losses, 100, out=losses)"), "changed its input in place"),
        (shown("np.clip(np.nan_to_num(losses, nan=100), 0.01, 100)"), ""),
        ("from helpers.mnist_comparison import plots\n" + shown("plots.clipped(losses)"),
         "it uses mnist_comparison.plots.clipped"),
        (shown("np.minimum(losses, 100) if not np.isnan(losses).any() else losses * 0 + 100"), ""),
    ],
    "choose_rate": [
        (choice(rate="round(rates[i], 3)"), "rate: expected"),
        (choice("(a.round(3) >= top - e).argmax()"), "rate: expected"),
        (choice("(a > top - e).argmax()"), "rate: expected"),
        (choice("(a >= top - np.sqrt(top / images)).argmax()"), "rate: expected"),
        (choice("(a >= top - 0.01).argmax()"), "rate: expected"),
        (choice("(a >= top - a.std() / np.sqrt(images)).argmax()"), "rate: expected"),
        (choice(edge="a.argmax() == len(a) - 1"), "on_edge: expected True"),
        (choice(edge="a.argmax() in (0, len(a))"), "on_edge: expected True"),
        (choice(edge="int(a.argmax() in (0, len(a) - 1))"), "on_edge: expected"),
        (choice(edge="'no'"), "on_edge"),
        (
            "from helpers.mnist_comparison.search import best_rate\n"
            + choice("best_rate(rates, a, images)", "i.on_edge", "i.rate"),
            "it uses mnist_comparison.search.best_rate",
        ),
    ],
}  # fmt: skip

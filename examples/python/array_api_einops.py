"""einops on our arrays, with derivatives: patches of images, attention by names, packing.

einops.array_api dispatches on the Array API standard; einops itself has a backend for `mlx`, which its einsum takes.

    python examples/python/array_api_einops.py
"""

import einops
import mlx.core as mx
from einops.array_api import pack, rearrange, reduce, repeat, unpack


def patches(images: mx.array, size: int) -> mx.array:
    """Each square of size * size pixels as one vector."""
    found: mx.array = rearrange(images, "b (h p) (w q) c -> b (h w) (p q c)", p=size, q=size)
    return found


def attention(q: mx.array, k: mx.array, v: mx.array, heads: int) -> mx.array:
    """softmax(q k^T) v, head by head."""
    q, k, v = (rearrange(x, "b n (h d) -> b h n d", h=heads) for x in (q, k, v))
    weights = mx.softmax(einops.einsum(q, k, "b h i d, b h j d -> b h i j") * q.shape[-1] ** -0.5, axis=-1)
    out: mx.array = rearrange(einops.einsum(weights, v, "b h i j, b h j d -> b h i d"), "b h n d -> b n (h d)")
    return out


def main() -> None:
    mx.random.seed(0)
    images = mx.random.normal((2, 8, 8, 3))
    x = patches(images, 4)
    print("patches", x.shape)
    assert mx.array_equal(rearrange(x, "b (h w) (p q c) -> b (h p) (w q) c", h=2, p=4, q=4), images)

    out = attention(x, x, x, heads=4)
    plain = mx.concatenate(
        [mx.softmax(h @ mx.swapaxes(h, -1, -2) * 12**-0.5, axis=-1) @ h for h in mx.split(x, 4, axis=-1)], axis=-1
    )
    print("attention", out.shape, "largest difference from matmul", f"{mx.abs(out - plain).max().item():.0e}")
    assert mx.allclose(out, plain, atol=1e-5)

    # Everything is lazy and differentiable: the gradient of the mean of maxima over squares of 2 * 2.
    def pooled(images: mx.array) -> mx.array:
        return mx.mean(reduce(images, "b (h p) (w q) c -> b h w c", "max", p=2, q=2))

    gradient = mx.grad(pooled)(images)
    print("pooling: pixels with a gradient", mx.sum(gradient != 0).item(), "of", images.size)
    assert mx.sum(gradient != 0).item() == images.size // 4

    # Every transform, since to them these are reshapes and transpositions.
    batched = mx.vmap(lambda image: rearrange(image, "h w c -> c (h w)"))(images)
    compiled = mx.compile(lambda images: repeat(images, "b h w c -> b (h 2) (w 2) c"))(images)
    print("vmap", batched.shape, "compile", compiled.shape)

    whole, shapes = pack([images, mx.mean(images, axis=(1, 2))], "b * c")
    parts = unpack(whole, shapes, "b * c")
    print("pack", whole.shape, "unpack", [part.shape for part in parts])
    assert mx.array_equal(parts[0], images)


if __name__ == "__main__":
    main()

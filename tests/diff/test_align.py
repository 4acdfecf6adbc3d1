from rules.builders import site, trace_of

from nntrace.diff.align import align


def paths(a, b):
    found = align(trace_of(sites=a), trace_of(sites=b))
    return [(p.a.path, p.b.path, p.by_path) for p in found.pairs], found


def test_sites_of_the_same_path_and_role_correspond() -> None:
    a = [site("fc", "activation", shape=[8, 4]), site("fc.weight", "param", shape=[4, 4])]
    assert paths(a, list(reversed(a)))[0] == [
        ("fc", "fc", True),
        ("fc.weight", "fc.weight", True),
    ]


def test_wrappers_before_a_path_do_not_matter() -> None:
    a = [site("fc.weight", "param", shape=[4, 4])]
    for wrapper in ("module.", "_orig_mod.", "module._orig_mod."):
        assert paths(a, [site(f"{wrapper}fc.weight", "param", shape=[9, 9])])[0] == [
            ("fc.weight", f"{wrapper}fc.weight", True)
        ]


def test_a_port_corresponds_by_order_and_shape_whatever_the_order_of_axes() -> None:
    torch_sites = [
        site("conv.weight", "param", shape=[16, 3, 3, 3]),
        site("fc.weight", "param", shape=[10, 64]),
        site("fc.bias", "param", shape=[10]),
    ]
    keras_sites = [
        site("net/conv2d/kernel", "param", shape=[3, 3, 3, 16]),
        site("net/extra/gamma", "param", shape=[7]),
        site("net/dense/kernel", "param", shape=[64, 10]),
        site("net/dense/bias", "param", shape=[10]),
    ]
    pairs, found = paths(torch_sites, keras_sites)
    assert [(a, b) for a, b, _ in pairs] == [
        ("conv.weight", "net/conv2d/kernel"),
        ("fc.weight", "net/dense/kernel"),
        ("fc.bias", "net/dense/bias"),
    ]
    assert [s.path for s in found.only_b] == ["net/extra/gamma"]


def test_a_layer_with_its_activation_function_inside_corresponds_to_the_nearer_of_two() -> None:
    def run(*layers):
        return trace_of(
            loss=[1.0],
            sites=[
                site(path, role, shape=[8, width], mean=mean, std=std)
                for role in ("activation", "activation_grad")
                for path, width, mean, std in layers
            ],
        )

    keras = run(("enc1", 16, 0.4, 0.6), ("enc2", 16, 0.3, 0.5), ("out", 5, 0.0, 1.0))
    port = run(
        ("0", 16, 0.01, 1.0), ("1", 16, 0.4, 0.6), ("2", 16, 0.0, 0.9), ("3", 16, 0.3, 0.5),
        ("4", 5, 0.0, 1.0),
    )  # fmt: skip
    found = [(p.a.path, p.b.path) for p in align(keras, port).pairs]
    assert found == [("enc1", "1"), ("enc2", "3"), ("out", "4")] * 2
    back = [(p.a.path, p.b.path) for p in align(port, keras).pairs]
    assert back == [("1", "enc1"), ("3", "enc2"), ("4", "out")] * 2


def test_activations_correspond_whatever_the_batch() -> None:
    a = [site("fc", "activation", shape=[64, 10])]
    b = [site("dense", "activation", shape=[32, 10])]
    assert paths(a, b)[0] == [("fc", "dense", False)]
    assert paths(a, [site("dense", "activation", shape=[64, 11])])[0] == []

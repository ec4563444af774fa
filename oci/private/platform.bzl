"""The platform that a target is built for, in the words of the image specification."""

# https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md: the values are Go's
# GOOS and GOARCH.
_SYSTEMS = {
    "android": "android",
    "freebsd": "freebsd",
    "ios": "ios",
    "linux": "linux",
    "macos": "darwin",
    "netbsd": "netbsd",
    "openbsd": "openbsd",
    "wasi": "wasip1",
    "windows": "windows",
}

# The ones that are special come before those that they are a kind of.
_ARCHITECTURES = {
    "aarch64": "arm64",
    "armv7": "arm/v7",
    "arm": "arm",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "wasm32": "wasm",
    "x86_32": "386",
    "x86_64": "amd64",
}

PLATFORM_ATTRS = {
    "_architectures": attr.label_keyed_string_dict(
        default = {"@platforms//cpu:" + cpu: name for cpu, name in _ARCHITECTURES.items()},
    ),
    "_systems": attr.label_keyed_string_dict(
        default = {"@platforms//os:" + os: name for os, name in _SYSTEMS.items()},
    ),
}

def target_platform(ctx):
    """The platform that this target is built for.

    Args:
        ctx: the context of a rule with PLATFORM_ATTRS.

    Returns:
        A struct of `os`, `architecture` and `variant`, each "" where it is not known.
    """
    architecture, _, variant = _first(ctx, ctx.attr._architectures).partition("/")
    return struct(os = _first(ctx, ctx.attr._systems), architecture = architecture, variant = variant)

def _first(ctx, names):
    for constraint, name in names.items():
        if ctx.target_platform_has_constraint(constraint[platform_common.ConstraintValueInfo]):
            return name
    return ""

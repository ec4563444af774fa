"""Repositories that hold a `windlass`, and one that registers them."""

# Platforms that releases are made for, by what Bazel calls them.
PLATFORMS = {
    "darwin_amd64": ("macos", "x86_64"),
    "darwin_arm64": ("macos", "aarch64"),
    "linux_amd64": ("linux", "x86_64"),
    "linux_arm64": ("linux", "aarch64"),
    "windows_amd64": ("windows", "x86_64"),
}

_BUILD = """\
load("@windlass//oci/private:toolchain.bzl", "windlass_toolchain")

windlass_toolchain(
    name = "toolchain",
    tool = "{tool}",
    visibility = ["//visibility:public"],
)
"""

# What has a meaning of its own in a URL, the sign that escapes first.
_ESCAPED = {"%": "%25", " ": "%20", "#": "%23", "?": "%3F"}

# A build of a release with all its optimizations, on a small machine that does other things too.
_BUILD_SECONDS = 3600

def host_platform(ctx):
    """The platform of this machine.

    Args:
        ctx: the context of a module extension.

    Returns:
        A string such as linux_amd64; it need not be one of PLATFORMS.
    """
    os = ctx.os.name.lower()
    for prefix, name in {"linux": "linux", "mac": "darwin", "windows": "windows"}.items():
        if os.startswith(prefix):
            os = name
            break
    cpu = {"aarch64": "arm64", "x86_64": "amd64"}.get(ctx.os.arch, ctx.os.arch)
    return "{}_{}".format(os, cpu)

def _name(platform):
    return "windlass.exe" if platform.startswith("windows") else "windlass"

def _watch(ctx, path):
    # Bazel 7.0 cannot.
    if hasattr(ctx, "watch"):
        ctx.watch(path)

def _prebuilt_tool_impl(ctx):
    name = _name(ctx.attr.platform)
    ctx.download(url = ctx.attr.url, output = name, sha256 = ctx.attr.sha256, executable = True)
    ctx.file("BUILD.bazel", _BUILD.format(tool = name))

prebuilt_tool = repository_rule(
    doc = "A `windlass` that was built elsewhere.",
    implementation = _prebuilt_tool_impl,
    attrs = {
        "platform": attr.string(mandatory = True),
        "sha256": attr.string(mandatory = True),
        "url": attr.string(mandatory = True),
    },
)

def _local_tool_impl(ctx):
    path = ctx.attr.path
    if not path.startswith("/") and path[1:2] != ":":
        fail("windlass.toolchain(path = \"{}\"): the path is not absolute".format(path))
    if not ctx.path(path).exists:
        fail("windlass.toolchain(path = \"{}\"): there is no such file".format(path))
    name = _name(ctx.attr.platform)

    # A newer file is another tool: what it makes is made again.
    _watch(ctx, path)

    # A copy, which a download from a file is: a link may lead to where a sandbox does not see, /tmp say.
    url = "file://" + ("" if path.startswith("/") else "/") + path.replace("\\", "/")
    for letter, escaped in _ESCAPED.items():
        url = url.replace(letter, escaped)
    ctx.download(url = url, output = name, executable = True)
    told = ctx.execute([ctx.path(name), "--version"])
    if told.return_code != 0 or not told.stdout.startswith("windlass "):
        fail("windlass.toolchain(path = \"{}\"): it is no windlass; its --version says \"{}\"".format(
            path,
            (told.stdout or told.stderr).strip(),
        ))
    ctx.file("BUILD.bazel", _BUILD.format(tool = name))

local_tool = repository_rule(
    doc = "A `windlass` that is on this machine.",
    implementation = _local_tool_impl,
    attrs = {
        "path": attr.string(mandatory = True),
        "platform": attr.string(mandatory = True),
    },
    local = True,
)

def _from_source_impl(ctx):
    cargo = ctx.which("cargo")
    if not cargo:
        fail("windlass is built from source, and there is no cargo in PATH. Install Rust 1.90 or newer " +
             "(https://rustup.rs), or use a windlass that is there: windlass.toolchain(path = \"...\") in MODULE.bazel")
    manifest = ctx.path(Label("//:Cargo.toml"))
    source = manifest.dirname
    _watch(ctx, manifest)
    _watch(ctx, source.get_child("Cargo.lock"))
    if hasattr(ctx, "watch_tree"):
        ctx.watch_tree(source.get_child("crates"))

    # `install` rather than `build`, and a target folder here: the user's checkout is not written to.
    ctx.report_progress("Building windlass from source with cargo; this takes some minutes, once")
    built = ctx.execute(
        [
            cargo,
            "install",
            "--locked",
            "--no-track",
            "--path",
            source.get_child("crates").get_child("cli"),
            "--root",
            ctx.path("."),
            "--target-dir",
            ctx.path("target"),
        ],
        quiet = False,
        timeout = _BUILD_SECONDS,
    )
    if built.return_code != 0:
        fail("cannot build windlass from {}: cargo ended with {}:\n{}".format(source, built.return_code, built.stderr))
    ctx.delete("target")
    ctx.file("BUILD.bazel", _BUILD.format(tool = "bin/" + _name(ctx.attr.platform)))

from_source = repository_rule(
    doc = "A `windlass` that this machine's cargo builds from the source in this module.",
    implementation = _from_source_impl,
    attrs = {"platform": attr.string(mandatory = True)},
)

def _toolchains_impl(ctx):
    lines = [
        'load("@windlass//oci/private:toolchain.bzl", "tool_platforms")',
        "",
        "tool_platforms(",
        '    name = "platforms",',
        "    platforms = {},".format(sorted(ctx.attr.repositories)),
        '    visibility = ["//visibility:public"],',
        ")",
    ]
    for platform, repository in ctx.attr.repositories.items():
        os, cpu = PLATFORMS[platform]
        lines += [
            "",
            "toolchain(",
            '    name = "{}",'.format(platform),
            "    exec_compatible_with = [",
            '        "@platforms//os:{}",'.format(os),
            '        "@platforms//cpu:{}",'.format(cpu),
            "    ],",
            '    toolchain = "@{}//:toolchain",'.format(repository),
            '    toolchain_type = "@windlass//oci:toolchain_type",',
            ")",
        ]
    ctx.file("BUILD.bazel", "\n".join(lines) + "\n")

toolchains = repository_rule(
    doc = "The toolchains, one for each platform that there is a `windlass` for.",
    implementation = _toolchains_impl,
    attrs = {"repositories": attr.string_dict(mandatory = True)},
)

"""How the rules get their `windlass`: an extension for MODULE.bazel.

Without a word of the user it is built from this module's own source, by the cargo of the machine.

```starlark
windlass = use_extension("@windlass//oci:extensions.bzl", "windlass")
windlass.toolchain(path = "/usr/local/bin/windlass")
```
"""

load("//oci/private:repositories.bzl", "PLATFORMS", "from_source", "host_platform", "local_tool", "prebuilt_tool", "toolchains")

_toolchain = tag_class(
    doc = "Where `windlass` comes from. Only the root module is asked; one of `from_source`, " +
          "`path` and `prebuilt` is given.",
    attrs = {
        "from_source": attr.bool(
            doc = "Build it with the machine's cargo (Rust 1.90 or newer, and a C compiler). This is " +
                  "the default. It is for this machine's platform only.",
        ),
        "path": attr.string(
            doc = "An executable on this machine, by its absolute path. It is for this machine's " +
                  "platform only.",
        ),
        "prebuilt": attr.string_dict(
            doc = "Executables by platform, such as `linux_amd64`: their URLs. What is downloaded is " +
                  "what is needed on a machine.",
        ),
        "sha256": attr.string_dict(
            doc = "The SHA-256 of each file in `prebuilt`, in hexadecimal digits.",
        ),
    },
)

def _windlass_impl(ctx):
    tags = [tag for module in ctx.modules if module.is_root for tag in module.tags.toolchain]
    if len(tags) > 1:
        fail("windlass.toolchain(...) is there {} times; one says where windlass comes from".format(len(tags)))
    tag = tags[0] if tags else struct(from_source = True, path = "", prebuilt = {}, sha256 = {})
    given = [name for name in ["from_source", "path", "prebuilt"] if getattr(tag, name)]
    if len(given) != 1:
        fail("windlass.toolchain(...) wants one of from_source, path and prebuilt, and has {}".format(
            " and ".join(given) or "none",
        ))

    repositories = {}
    if tag.prebuilt:
        if sorted(tag.prebuilt) != sorted(tag.sha256):
            fail("windlass.toolchain(...): prebuilt is for {}, sha256 for {}; they are for the same platforms".format(
                ", ".join(sorted(tag.prebuilt)),
                ", ".join(sorted(tag.sha256)) or "none",
            ))
        for platform, url in tag.prebuilt.items():
            if platform not in PLATFORMS:
                fail("windlass.toolchain(...): there is no platform \"{}\"; known are {}".format(
                    platform,
                    ", ".join(PLATFORMS),
                ))
            repositories[platform] = "windlass_" + platform
            prebuilt_tool(
                name = repositories[platform],
                platform = platform,
                sha256 = tag.sha256[platform],
                url = url,
            )
    else:
        host = host_platform(ctx)
        if host in PLATFORMS:
            repositories[host] = "windlass_host"
        if tag.path:
            local_tool(name = "windlass_host", platform = host, path = tag.path)
        else:
            from_source(name = "windlass_host", platform = host)
    toolchains(name = "windlass_toolchains", repositories = repositories)

windlass = module_extension(
    doc = "Chooses the `windlass` that the rules work with.",
    implementation = _windlass_impl,
    # A lock file that was written on one machine must not give another its platform.
    arch_dependent = True,
    os_dependent = True,
    tag_classes = {"toolchain": _toolchain},
)

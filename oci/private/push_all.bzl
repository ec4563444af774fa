"""The rule `oci_push_all`."""

load(":labels.bzl", "show")
load(":providers.bzl", "OciPushInfo")
load(":push.bzl", "root_symlinks", "write_request")
load(":toolchain.bzl", "TOOLCHAINS", "TOOLCHAIN_ATTRS", "link_tool", "windlass_tool")

_DOC = """Push many images in one run.

```starlark
oci_push_all(
    name = "push_all",
    pushes = [
        "//api:push",
        "//web:push",
        "//worker:push",
    ],
)
```

One process does it all over shared connections and logins, and a layer that several images have goes
to a registry once: other repositories there get it by a mount. No tag is set before every image is
completely there; then tags are set push by push, in the order of `pushes`. The first failure, which
is told with the name of its target, stops everything after it.

One run has one set of flags: all `pushes` have the same `flags`, and those of this target are added.
What differs, tags that may move and tags that may not say, is pushed in two runs.

More flags come after `--`, as for `oci_push`. A `--tag` is set on every image, before its own tags.
"""

def _oci_push_all_impl(ctx):
    tool = windlass_tool(ctx)
    pushes = [target[OciPushInfo] for target in ctx.attr.pushes]
    if not pushes:
        fail("pushes: there is nothing to push")
    for target, push in zip(ctx.attr.pushes, pushes):
        if push.flags != pushes[0].flags:
            fail("the flags of {} and {} are not the same, {} and {}, but one run has one set of flags; have the same on all, or those that all should have on this target alone, or push them in two runs".format(
                show(ctx.attr.pushes[0].label),
                show(target.label),
                pushes[0].flags,
                push.flags,
            ))
    requests = [push.request for push in pushes]
    request_file = write_request(ctx, tool, {
        "flags": ctx.attr.flags,
        "requests": [request.path for request in requests],
    })
    executable = link_tool(ctx, tool)
    runfiles = ctx.runfiles(
        files = [executable, request_file],
        root_symlinks = root_symlinks(requests),
    ).merge_all([push.runfiles for push in pushes])
    return [
        DefaultInfo(executable = executable, files = depset([executable]), runfiles = runfiles),
        OutputGroupInfo(request = depset([request_file], transitive = [push.files for push in pushes])),
    ]

oci_push_all = rule(
    doc = _DOC,
    implementation = _oci_push_all_impl,
    attrs = {
        "flags": attr.string_list(
            doc = "Flags of `windlass push` for this run, after those that the pushes have. " +
                  "An unknown flag fails the build.",
        ),
        "pushes": attr.label_list(
            doc = "The `oci_push` targets, in their order.",
            mandatory = True,
            providers = [OciPushInfo],
        ),
    } | TOOLCHAIN_ATTRS,
    executable = True,
    toolchains = TOOLCHAINS,
)

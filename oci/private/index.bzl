"""The rule `oci_image_index`."""

load(":labels.bzl", "show")
load(":layout.bzl", "image_of", "image_outputs")
load(":providers.bzl", "OciImageInfo")
load(":toolchain.bzl", "TOOLCHAINS", "TOOLCHAIN_ATTRS", "windlass_tool")
load(":values.bzl", "value_file", "value_spec")

_DOC = """Build an index: one name for the images of several platforms.

Either one image for each platform:

```starlark
oci_image_index(
    name = "app_image",
    images = [
        ":app_linux_arm64",
        ":app_linux_amd64",
        ":app_windows_amd64",
    ],
)
```

or one image, which is built for each platform:

```starlark
oci_image_index(
    name = "app_image",
    images = [":app"],
    platforms = [
        "//platforms:linux_amd64",
        "//platforms:linux_arm64",
    ],
)
```

What an entry of the index says of its platform comes from the image's own config. Images that turn
out to be the same, to the byte, are entered once, and a warning names them. An image that is an index
itself is refused: few clients look into an index of indexes.

What is built is the same as for `oci_image`: a layout directory for whoever asks for it,
`:app_image.digest`, and the provider `OciImageInfo`. Nothing is copied for a push.
"""

_PLATFORMS = "//command_line_option:platforms"

def _for_each_platform_impl(settings, attr):
    if not attr.platforms:
        return {"own": {_PLATFORMS: settings[_PLATFORMS]}}

    # By their places: the rule sees what an alias stands for, and this sees the alias.
    return {str(place): {_PLATFORMS: str(platform)} for place, platform in enumerate(attr.platforms)}

_for_each_platform = transition(
    implementation = _for_each_platform_impl,
    inputs = [_PLATFORMS],
    outputs = [_PLATFORMS],
)

def _oci_image_index_impl(ctx):
    tool = windlass_tool(ctx)
    if not ctx.attr.images:
        fail("images: an index has one image at least")
    targets = [] if ctx.attr.platforms else ctx.attr.images
    for place in range(len(ctx.attr.platforms)):
        targets += ctx.split_attr.images[str(place)]

    children = []
    for number, target in enumerate(targets):
        child = image_of(ctx, tool, "images", target, "{}.images/{}".format(ctx.label.name, number))
        if not child.config:
            fail("images: {} is an index; an index of indexes is not made, list its images instead".format(show(target.label)))
        children.append(child)

    name = ctx.label.name
    manifest = ctx.actions.declare_file(name + ".manifest.json")
    descriptor = ctx.actions.declare_file(name + ".descriptor.json")
    digest = ctx.actions.declare_file(name + ".json.sha256")
    annotations_file = value_file(ctx, "annotations")
    spec = ctx.actions.declare_file(name + ".spec.json")
    ctx.actions.write(spec, json.encode({
        "annotations": value_spec(ctx, "annotations"),
        "images": [
            {"descriptor": child.descriptor.path, "target": show(target.label)}
            for child, target in zip(children, targets)
        ],
        "outputs": {"descriptor": descriptor.path, "digest": digest.path, "manifest": manifest.path},
        "target": show(ctx.label),
    }))
    ctx.actions.run(
        executable = tool,
        arguments = ["build", "index", spec.path],
        inputs = [spec] + [child.descriptor for child in children] +
                 ([annotations_file] if annotations_file else []),
        outputs = [manifest, descriptor, digest],
        mnemonic = "OciIndex",
        progress_message = "Assembling OCI index %{label}",
    )
    index = OciImageInfo(
        config = None,
        descriptor = descriptor,
        digest = digest,
        documents = depset([manifest], transitive = [child.documents for child in children]),
        layers = depset(transitive = [child.layers for child in children]),
        layouts = depset(transitive = [child.layouts for child in children]),
        linked = depset(transitive = [child.linked for child in children]),
        manifest = manifest,
    )
    return image_outputs(ctx, tool, index)

oci_image_index = rule(
    doc = _DOC,
    implementation = _oci_image_index_impl,
    attrs = {
        "annotations": attr.string_dict(
            doc = "Annotations of the index.",
        ),
        "annotations_file": attr.label(
            doc = "A file of annotations, `KEY=VALUE` a line.",
            allow_single_file = True,
        ),
        "images": attr.label_list(
            doc = "The images, in the order in which clients look at them: `oci_image`s, or targets " +
                  "whose one output is an OCI layout directory with one image.",
            allow_files = True,
            cfg = _for_each_platform,
            mandatory = True,
        ),
        "platforms": attr.label_list(
            doc = "Platforms that each image is built for. Without any, images are built for the " +
                  "platform that the index is.",
        ),
    } | TOOLCHAIN_ATTRS,
    provides = [OciImageInfo],
    toolchains = TOOLCHAINS,
)

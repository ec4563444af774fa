"""The rule `oci_image`."""

load(":labels.bzl", "show")
load(":layer.bzl", "OciLayersInfo", "describe_layers", "layers_aspect")
load(":layout.bzl", "image_of", "image_outputs")
load(":platform.bzl", "PLATFORM_ATTRS", "target_platform")
load(":providers.bzl", "OciImageInfo")
load(":toolchain.bzl", "TOOLCHAINS", "TOOLCHAIN_ATTRS", "windlass_tool")
load(":values.bzl", "value_file", "value_spec")

_DOC = """Build an OCI image from archives.

The image is a config and a manifest over the layers in `tars`, on top of those of `base`. Nothing is
copied: a layer is the archive that another rule made, as it is, and each is read once for all images
that it is in, by an action of its own, so that a change of one layer is the work of one layer.

```starlark
oci_image(
    name = "image",
    base = "@distroless_base",
    tars = [":app_layer"],
    entrypoint = ["/app"],
    env = {"PATH": "/opt/bin:$PATH"},
)
```

Without `base` an image starts from nothing; without attributes it is an empty image for the platform
that is built for:

```starlark
oci_image(name = "image")
```

What is built:

- `:image`, an [OCI layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md)
  directory, which skopeo, umoci, crane and other rules read. It is made only if it is asked for: not
  for a push. The layers in it are links where Bazel allows that (7.1 and later), which lead out of it:
  `cp -rL` makes a whole one for other machines.
- `:image.digest`, a file with the image's digest, `image.json.sha256`.
- The provider `OciImageInfo`, from which `oci_push` and `oci_image_index` take what they need.

The same inputs give the same bytes on every machine: no time, user or host is in an image. The target's
package and name are, in the image's history.

Attributes that are a list or a dict can be given as a file too: `env = "//app:env.txt"` is short for
`env_file = "//app:env.txt"`. With `select()`, write the attribute that its values are for.
"""

_ATTRS = {
    "annotations": attr.string_dict(
        doc = "Annotations of the manifest, over those of `base`.",
    ),
    "annotations_file": attr.label(
        doc = "A file of annotations, `KEY=VALUE` a line.",
        allow_single_file = True,
    ),
    "architecture": attr.string(
        doc = "The CPU that the image is for, such as `amd64` or `arm64`. By default that of the " +
              "target platform. Not allowed with `base`, which says it.",
    ),
    "base": attr.label(
        doc = "The image to build upon: an `oci_image`, or any target whose one output is an OCI " +
              "layout directory, as rules_oci's `oci_pull` gives. Of an index in a layout directory " +
              "the image for the target platform is taken; an `oci_image_index` is no base, its images are.",
        allow_files = True,
    ),
    "cmd": attr.string_list(
        doc = "Arguments that the container is started with where none are given.",
    ),
    "cmd_file": attr.label(
        doc = "A file of arguments, one a line.",
        allow_single_file = True,
    ),
    "created": attr.label(
        doc = "A file with the time of creation, as in RFC 3339. Without it, it is that of `base`, " +
              "or 1970-01-01T00:00:00Z.",
        allow_single_file = True,
    ),
    "entrypoint": attr.string_list(
        doc = "What the container runs. It does away with the `cmd` of `base`, which was meant for " +
              "another entrypoint.",
    ),
    "entrypoint_file": attr.label(
        doc = "A file of the entrypoint's words, one a line.",
        allow_single_file = True,
    ),
    "env": attr.string_dict(
        doc = "Environment variables, in this order, over those of `base`. `$NAME` and `${NAME}` " +
              "stand for what the variable was before: in `base`, or further up. What is not " +
              "set is empty.",
    ),
    "env_file": attr.label(
        doc = "A file of environment variables, `NAME=VALUE` a line.",
        allow_single_file = True,
    ),
    "exposed_ports": attr.string_list(
        doc = "Ports that the container listens on, such as `8080/tcp`, beside those of `base`.",
    ),
    "exposed_ports_file": attr.label(
        doc = "A file of ports, separated by commas or line ends.",
        allow_single_file = True,
    ),
    "labels": attr.string_dict(
        doc = "Labels of the config, over those of `base`.",
    ),
    "labels_file": attr.label(
        doc = "A file of labels, `KEY=VALUE` a line.",
        allow_single_file = True,
    ),
    "os": attr.string(
        doc = "The operating system that the image is for, such as `linux`. By default that of the " +
              "target platform. Not allowed with `base`, which says it.",
    ),
    "tars": attr.label_list(
        doc = "The layers, lowest first, each a tar archive, plain or compressed by gzip or zstd. " +
              "Their content tells which, not their name. Of a target all outputs are layers.",
        allow_files = True,
        aspects = [layers_aspect],
    ),
    "user": attr.string(
        doc = "The user that the container runs as: a name or number, with `:GROUP` if wanted.",
    ),
    "variant": attr.string(
        doc = "The variant of the CPU, such as `v8`. Not allowed with `base`, which says it.",
    ),
    "volumes": attr.string_list(
        doc = "Folders that are mounted, beside those of `base`.",
    ),
    "volumes_file": attr.label(
        doc = "A file of folders, separated by commas or line ends.",
        allow_single_file = True,
    ),
    "workdir": attr.string(
        doc = "The folder that the container starts in.",
    ),
}

# Attributes that have a twin, which is a file.
LIST_ATTRS = ["entrypoint", "cmd", "exposed_ports", "volumes"]
DICT_ATTRS = ["env", "labels", "annotations"]

def _oci_image_impl(ctx):
    tool = windlass_tool(ctx)
    platform = _platform(ctx)
    base = None
    if ctx.attr.base:
        base = image_of(ctx, tool, "base", ctx.attr.base, ctx.label.name + ".base", target_platform(ctx))
        if not base.config:
            fail("base = {}: it is an index; name one of its images".format(show(ctx.attr.base.label)))

    own = _layers(ctx, tool)
    name = ctx.label.name
    manifest = ctx.actions.declare_file(name + ".manifest.json")
    config = ctx.actions.declare_file(name + ".config.json")
    descriptor = ctx.actions.declare_file(name + ".descriptor.json")
    digest = ctx.actions.declare_file(name + ".json.sha256")
    values = {attribute: value_spec(ctx, attribute) for attribute in LIST_ATTRS + DICT_ATTRS}
    spec = ctx.actions.declare_file(name + ".spec.json")
    ctx.actions.write(spec, json.encode(values | {
        "base": {"manifest": base.manifest.path, "config": base.config.path} if base else None,
        "created": ctx.file.created.path if ctx.file.created else None,
        "layers": [layer.descriptor.path for layer in own],
        "outputs": {
            "config": config.path,
            "descriptor": descriptor.path,
            "digest": digest.path,
            "manifest": manifest.path,
        },
        "platform": platform,
        "target": show(ctx.label),
        "user": ctx.attr.user,
        "workdir": ctx.attr.workdir,
    }))
    ctx.actions.run(
        executable = tool,
        arguments = ["build", "image", spec.path],
        inputs = [spec] + [layer.descriptor for layer in own] +
                 ([base.manifest, base.config] if base else []) +
                 ([ctx.file.created] if ctx.file.created else []) +
                 [file for file in [value_file(ctx, attribute) for attribute in LIST_ATTRS + DICT_ATTRS] if file],
        outputs = [manifest, config, descriptor, digest],
        mnemonic = "OciImage",
        progress_message = "Assembling OCI image %{label}",
    )
    image = OciImageInfo(
        config = config,
        descriptor = descriptor,
        digest = digest,
        documents = depset([manifest, config]),
        layers = depset(own, transitive = [base.layers] if base else []),
        layouts = base.layouts if base else depset(),
        linked = base.linked if base else depset(),
        manifest = manifest,
    )
    return image_outputs(ctx, tool, image)

# What other things are called by; an image that says so is taken by no client.
_OTHER_NAMES = {
    "aarch64": "arm64",
    "armhf": "arm",
    "i386": "386",
    "macos": "darwin",
    "x64": "amd64",
    "x86_64": "amd64",
}

def _platform(ctx):
    given = [name for name in ["os", "architecture", "variant"] if getattr(ctx.attr, name)]
    if ctx.attr.base:
        if given:
            fail("{} beside base: it is the base that says what it is for; leave {} out".format(
                " and ".join(given),
                "it" if len(given) == 1 else "them",
            ))
        return None
    for attribute in ["os", "architecture"]:
        name = getattr(ctx.attr, attribute)
        right = _OTHER_NAMES.get(name.lower(), name.lower())
        if name != right:
            fail("{} = \"{}\": images call it \"{}\"".format(attribute, name, right))
    target = target_platform(ctx)
    os = ctx.attr.os or target.os
    architecture = ctx.attr.architecture or target.architecture
    if not os or not architecture:
        fail("neither base nor {} says what the image is for, and the target platform has none that images know".format(
            "os" if not os else "architecture",
        ))

    # The target platform's variant is one of its own architecture.
    variant = ctx.attr.variant or (target.variant if architecture == target.architecture else "")
    return {"architecture": architecture, "os": os, "variant": variant or None}

def _layers(ctx, tool):
    layers = []
    sources = [file for target in ctx.attr.tars if OciLayersInfo not in target for file in target[DefaultInfo].files.to_list()]
    described = {layer.file: layer for layer in describe_layers(ctx, tool, sources, ctx.label.name + ".layers")}
    for target in ctx.attr.tars:
        if OciLayersInfo in target:
            layers += target[OciLayersInfo].layers
        else:
            # A file of the source tree, which no aspect sees.
            layers += [described[file] for file in target[DefaultInfo].files.to_list()]
    return layers

oci_image = rule(
    doc = _DOC,
    implementation = _oci_image_impl,
    attrs = _ATTRS | PLATFORM_ATTRS | TOOLCHAIN_ATTRS,
    provides = [OciImageInfo],
    toolchains = TOOLCHAINS,
)

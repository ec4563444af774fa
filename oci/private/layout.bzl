"""Layout directories: those that come in from other rules, and those that go out to them."""

load("@bazel_features//:features.bzl", "bazel_features")
load(":labels.bzl", "show")
load(":providers.bzl", "OciImageInfo")

def layout_file(attribute, target, or_archive = False):
    """The one layout that a target of other rules consists of.

    Args:
        attribute: the name of the attribute, for the message.
        target: the Target.
        or_archive: whether it may be a tar archive of a layout.

    Returns:
        A File.
    """
    files = target[DefaultInfo].files.to_list()
    if len(files) == 1:
        # A folder of the source tree is a file to Bazel, with nothing but its name to tell it apart.
        if files[0].is_directory or (files[0].is_source and files[0].extension != "tar"):
            return files[0]
        if or_archive and files[0].extension == "tar":
            return files[0]
    fail("{} = {}: wanted is an oci_image, an oci_image_index, or a target whose one output is an OCI layout directory; it has {}".format(
        attribute,
        show(target.label),
        "the output " + files[0].short_path if len(files) == 1 else "{} outputs".format(len(files)),
    ))

def linked_files(target):
    """What links in another rule's layout lead to: rules_oci has the layers of an image so.

    Args:
        target: the Target.

    Returns:
        A depset of Files.
    """
    runfiles = target[DefaultInfo].default_runfiles
    return runfiles.files if runfiles else depset()

def _import_layout(ctx, tool, layout, linked, prefix, platform = None):
    """Reads the image of a layout.

    Args:
        ctx: the context of the rule.
        tool: the `windlass` to do it.
        layout: the File of the layout.
        linked: what linked_files() gave for it.
        prefix: what the names of the outputs begin with.
        platform: which image of an index; a struct as target_platform() gives it.

    Returns:
        An OciImageInfo.
    """
    declare = lambda suffix: ctx.actions.declare_file(prefix + suffix)
    manifest, config = declare(".manifest.json"), declare(".config.json")
    descriptor, digest = declare(".descriptor.json"), declare(".json.sha256")
    arguments = ctx.actions.args()
    arguments.add_all(["build", "import"])
    arguments.add_all("--layout", [layout], expand_directories = False)
    if platform and platform.os and platform.architecture:
        names = [platform.os, platform.architecture] + ([platform.variant] if platform.variant else [])
        arguments.add("--platform", "/".join(names))
    arguments.add("--manifest", manifest)
    arguments.add("--config", config)
    arguments.add("--descriptor", descriptor)
    arguments.add("--digest", digest)
    arguments.add("--target", show(ctx.label))
    ctx.actions.run(
        executable = tool,
        arguments = [arguments],
        inputs = depset([layout], transitive = [linked]),
        outputs = [manifest, config, descriptor, digest],
        mnemonic = "OciImport",
        progress_message = "Reading the image in " + layout.short_path,
    )
    return OciImageInfo(
        config = config,
        descriptor = descriptor,
        digest = digest,
        documents = depset([manifest, config]),
        layers = depset(),
        layouts = depset([layout]),
        linked = linked,
        manifest = manifest,
    )

def image_of(ctx, tool, attribute, target, prefix, platform = None):
    """What a target tells of its image, or what its layout does.

    Args:
        ctx: the context of the rule.
        tool: the `windlass` that reads layouts.
        attribute: the name of the attribute, for messages.
        target: the Target.
        prefix: what the names of files begin with that have to be made.
        platform: which image of an index.

    Returns:
        An OciImageInfo.
    """
    if OciImageInfo in target:
        return target[OciImageInfo]
    return _import_layout(ctx, tool, layout_file(attribute, target), linked_files(target), prefix, platform)

def layer_specs(image):
    """An image's layers as the specs of actions name them.

    Args:
        image: an OciImageInfo.

    Returns:
        A list of dicts.
    """
    return [
        {"descriptor": layer.descriptor.path, "file": layer.file.path}
        for layer in image.layers.to_list()
    ]

def image_outputs(ctx, tool, image):
    """The providers of an image or index: by its parts, and as a layout for whoever asks.

    Args:
        ctx: the context of the rule.
        tool: the `windlass` that writes the layout.
        image: the OciImageInfo.

    Returns:
        A list of providers.
    """
    layout = ctx.actions.declare_directory(ctx.label.name)
    layers = image.layers.to_list()
    files = depset([layer.file for layer in layers], transitive = [image.layouts, image.linked])
    spec = ctx.actions.declare_file(ctx.label.name + ".layout.spec.json")
    ctx.actions.write(spec, json.encode({
        "blobs": layer_specs(image),
        "documents": [file.path for file in image.documents.to_list()],
        "layouts": [directory.path for directory in image.layouts.to_list()],
        "links": bazel_features.rules.permits_treeartifact_uplevel_symlinks,
        "output": layout.path,
        "root": image.descriptor.path,
        "target": show(ctx.label),
    }))
    ctx.actions.run(
        executable = tool,
        arguments = ["build", "layout", spec.path],
        inputs = depset(
            [spec, image.descriptor] + [layer.descriptor for layer in layers],
            transitive = [image.documents, files],
        ),
        outputs = [layout],
        mnemonic = "OciLayout",
        progress_message = "Linking OCI layout %{label}",
    )
    return [
        image,
        DefaultInfo(
            files = depset([layout]),
            # What the layout's links lead to.
            runfiles = ctx.runfiles(files = [layout], transitive_files = files),
        ),
        OutputGroupInfo(
            descriptor = depset([image.descriptor]),
            digest = depset([image.digest]),
            manifest = depset([image.manifest]),
        ),
    ]

"""What a layer is: found out once for each archive, however many images it is in."""

load(":labels.bzl", "show")
load(":toolchain.bzl", "TOOLCHAINS", "TOOLCHAIN_ATTRS", "windlass_tool")

OciLayersInfo = provider(
    doc = "The archives of a target, as layers.",
    fields = {"layers": "list of structs, as OciImageInfo.layers has them."},
)

def describe_layers(ctx, tool, files, prefix):
    """Finds out media type, digest, size and diff id of archives.

    Args:
        ctx: the context of a rule or aspect.
        tool: the `windlass` to do it.
        files: a list of Files.
        prefix: the folder that the outputs go into.

    Returns:
        A list of structs: `file`, and `descriptor`, a File.
    """
    layers = {}
    names = {}
    for file in files:
        if file in layers:
            continue
        if file.is_directory:
            fail("{} is a folder; a layer is an archive".format(file.short_path))
        name = file.short_path.replace("../", "external/")
        if name in names:
            # One file of one target, built for two platforms.
            name += ".{}".format(len(names))
        names[name] = True
        descriptor = ctx.actions.declare_file("{}/{}.json".format(prefix, name))
        arguments = ctx.actions.args()
        arguments.add_all(["build", "layer"])
        arguments.add("--input", file)
        arguments.add("--output", descriptor)
        arguments.add("--target", show(ctx.label))
        ctx.actions.run(
            executable = tool,
            arguments = [arguments],
            inputs = [file],
            outputs = [descriptor],
            mnemonic = "OciLayer",
            progress_message = "Reading layer %{input}",
        )
        layers[file] = struct(descriptor = descriptor, file = file)
    return [layers[file] for file in files]

def _layers_aspect_impl(target, ctx):
    files = target[DefaultInfo].files.to_list()
    prefix = ctx.label.name + ".layers"
    return OciLayersInfo(layers = describe_layers(ctx, windlass_tool(ctx), files, prefix))

# An archive is read by an action of the target that it comes from, which all images share.
layers_aspect = aspect(
    doc = "Describes the archives of a target as layers.",
    implementation = _layers_aspect_impl,
    attrs = TOOLCHAIN_ATTRS,
    provides = [OciLayersInfo],
    toolchains = TOOLCHAINS,
)

"""A stand-in for rules_oci's oci_pull, which needs a network: a layout as a directory that an action made."""

def _pulled_impl(ctx):
    layout = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        inputs = ctx.files.srcs,
        outputs = [layout],
        command = "/bin/cp -rL {}/layout/. {}".format(ctx.label.package, layout.path),
    )
    return DefaultInfo(files = depset([layout]))

pulled = rule(
    implementation = _pulled_impl,
    attrs = {"srcs": attr.label_list(allow_files = True)},
)

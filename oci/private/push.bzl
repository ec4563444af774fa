"""The rule `oci_push`."""

load(":labels.bzl", "show")
load(":layout.bzl", "layer_specs", "layout_file", "linked_files")
load(":providers.bzl", "OciImageInfo", "OciPushInfo")
load(":stamp.bzl", "STAMP_ATTRS", "status_files")
load(":toolchain.bzl", "TOOLCHAINS", "TOOLCHAIN_ATTRS", "link_tool", "windlass_tool")

_DOC = """Push an oci_image or oci_image_index to a remote registry.

`bazel run` of this target pushes the image by its digest, then sets the tags one after another: first
those of the command line, then those of `image_tags`, each in its order. Layers go in parallel, what
the registry has already is not sent again, and a run that finds all in place writes nothing.

Pushing and tagging can fail on the way:

- the registry refuses a tag, because it must not be moved, say;
- the registry closes the connection while tags are set;
- the network goes away.

Windlass tries again where that may help, for five minutes of standstill (`--retry-for`), but for three
seconds only where no registry has answered yet. A failure that stays ends the push with a non-zero exit code, and **all steps after it are skipped**. What is
then true: the tags before the failed one are set, the ones after it are as they were, and every tag
that was set names an image that is completely there, because a tag is only ever set once the whole
image has arrived. The message says which tags are set, which one failed and which were skipped.
Running the target again sends what is missing and sets what is not set.

| exit code | |
|---|---|
| 0 | pushed, and all tags are set |
| 2 | an attribute, a file of tags or the command line is wrong; nothing was sent |
| 3 | the image cannot be read |
| 4 | not logged in, or not allowed |
| 5 | a tag was refused: by the registry, which then has the image by its digest, or by `--tag-policy` or `--expect-tag` before anything was sent |
| 6 | the registry cannot be reached, or was given up on; run again to go on |
| 7 | the registry does not take the content |
| 130, 143, 129 | interrupted, terminated, the terminal went away |
| 1 | anything else |

Push an oci_image to docker registry with latest tag

```starlark
oci_image(name = "image")

oci_push(
    name = "push",
    image = ":image",
    image_tags = ["latest"],
    repository = "index.docker.io/my-org/image",
)
```

Push an oci_image_index to github container registry with a semver tag

```starlark
oci_image(name = "app_linux_arm64", os = "linux", architecture = "arm64")

oci_image(name = "app_linux_amd64", os = "linux", architecture = "amd64")

oci_image(name = "app_windows_amd64", os = "windows", architecture = "amd64")

oci_image_index(
    name = "app_image",
    images = [
        ":app_linux_arm64",
        ":app_linux_amd64",
        ":app_windows_amd64",
    ],
)

oci_push(
    name = "push",
    image = ":app_image",
    image_tags = ["1.2.3"],
    repository = "ghcr.io/my-org/image",
)
```

Flags of `windlass push` come after `--`:

- `-t`, `--tag`: a tag to set before those of `image_tags`; may be repeated,
  e.g. `bazel run //myimage:push -- --tag latest`
- `-r`, `--repository`: where to push instead of `repository`; may be repeated, e.g.
  `bazel run //myimage:push -- --repository index.docker.io/my-org/image`
- all others of `bazel run //myimage:push -- --help`, such as `--dry-run`, `--tag-policy create`,
  `--receipt FILE`. A relative path is relative to the folder in which `bazel` was called.

The macro of the same name takes a list of strings for `image_tags` too; a `select()` has files, not
lists. (`tags`, which all rules have, are Bazel's own and no tags of an image.) Where neither
`image_tags` nor `--tag` names any, the image is pushed by its digest alone.

**Stamping.** In `repository`, `repository_file` and tags, `{{KEY}}` stands for a value of the
[build's status](https://bazel.build/docs/user-manual#workspace-status), such as `{{STABLE_GIT_COMMIT}}`
or `{{BUILD_TIMESTAMP}}`, if the build is stamped (`bazel run --stamp //myimage:push`, or `stamp = 1`).
The values are filled in when the push runs, not when it is built, so that they never are those of an
earlier build: each `bazel run` pushes with its own. The program in `bazel-bin`, started later, uses
those of the latest build in that workspace, whatever was built. Files that other rules have stamped
can be used too; they are as fresh as those rules make them, and Bazel does not run an action again
where only a volatile value has changed. Without `--stamp` a tag with `{{KEY}}` is an error, and
nothing is sent.

**Starting it.** The target's executable is `windlass` itself. It can be started by `bazel run`, from
`bazel-bin`, from any folder, and as `data` of other targets; it needs no shell, and nothing in `PATH`.
The output group `request` is the list of what is pushed as a file, for `windlass push --request`, and
all that this file names.

**Logging in.** What `docker login` or `podman login` left behind is used, credential helpers included.
Under `bazel test` there is no home folder: pass `--test_env=DOCKER_CONFIG=$HOME/.docker`.
"""

# The folder in runfiles below which files have their path from the exec root. By their usual place
# there, two files of one target built for two platforms would be one.
_RUNFILES = "windlass.files"

# All mean image_tags; the others are what rules_oci called it in its time.
TAG_ATTRS = ["image_tags", "remote_tags", "repotags", "default_tags"]

def _tags_attr(doc):
    return attr.label(doc = doc, allow_single_file = True)

_ATTRS = {
    "default_tags": _tags_attr("The same as `image_tags`."),
    "flags": attr.string_list(
        doc = "Flags of `windlass push` that are put before those of the command line, such as " +
              "`[\"--tag-policy\", \"create\"]`. An unknown flag fails the build. There are no labels in " +
              "them: a file that a flag names is one of the machine. One run has one set of flags: the " +
              "pushes of an `oci_push_all` all have the same.",
    ),
    "image": attr.label(
        doc = "Label to an oci_image or oci_image_index, or to any target whose one output is an " +
              "OCI layout directory or a tar archive of one",
        allow_files = True,
        mandatory = True,
    ),
    "image_tags": _tags_attr(
        "txt file containing tags, one per line. Blank lines and lines that begin with `#` are " +
        "skipped. A list of strings in the macro.",
    ),
    "referrers": attr.label_list(
        doc = "What refers to the image, such as signatures, attestations and bills of materials: " +
              "targets whose one output is an OCI layout directory, or a tar archive of one, with " +
              "manifests whose `subject` is the image or a part of it. They are in the registry " +
              "before the first tag is set. One of which nothing refers to the image fails the push.",
        allow_files = True,
    ),
    "remote_tags": _tags_attr("The same as `image_tags`, as current rules_oci calls it."),
    "repository": attr.string(
        doc = "Repository where the image will be pushed to, e.g.: `index.docker.io/<user>/image`. " +
              "Digests and tags are not allowed; a port is. Without it and `repository_file`, " +
              "`--repository` is needed on the command line.",
    ),
    "repository_file": attr.label(
        doc = "A file with the repository, for one that is known only when it is built. Not beside " +
              "`repository`.",
        allow_single_file = True,
    ),
    "repotags": _tags_attr("The same as `image_tags`."),
}

def _oci_push_impl(ctx):
    tool = windlass_tool(ctx)
    _check_repository(ctx)
    tag_file = _tag_file(ctx)
    image, layout = None, None
    if OciImageInfo in ctx.attr.image:
        image = ctx.attr.image[OciImageInfo]
    else:
        layout = layout_file("image", ctx.attr.image, or_archive = True)
    referrers = [layout_file("referrers", target, or_archive = True) for target in ctx.attr.referrers]
    stamps = status_files(ctx)
    request = {
        "flags": ctx.attr.flags,
        "referrers": [layout.path for layout in referrers],
        "repositories": [ctx.attr.repository] if ctx.attr.repository else [],
        "status_files": [file.path for file in stamps],
        "tag_files": [tag_file.path] if tag_file else [],
    }
    if ctx.file.repository_file:
        request["repository_file"] = ctx.file.repository_file.path
    if layout:
        request["layout"] = layout.path
    else:
        request["layouts"] = [directory.path for directory in image.layouts.to_list()]
    files = stamps + referrers
    files += [file for file in [tag_file, ctx.file.repository_file, layout] if file]
    if image:
        files += [layer.file for layer in image.layers.to_list()]
        files += image.documents.to_list() + image.layouts.to_list()

    request_file = write_request(ctx, tool, request, image)
    executable = link_tool(ctx, tool)
    linked = depset(transitive = [
        image.linked if image else linked_files(ctx.attr.image),
    ] + [linked_files(target) for target in ctx.attr.referrers])
    runfiles = ctx.runfiles(
        files = [executable, request_file],
        root_symlinks = root_symlinks(files),
        transitive_files = linked,
    )
    return [
        DefaultInfo(executable = executable, files = depset([executable]), runfiles = runfiles),
        OciPushInfo(
            files = depset([request_file] + files, transitive = [linked]),
            flags = ctx.attr.flags,
            image = image,
            layout = layout,
            referrers = referrers,
            repository = ctx.attr.repository,
            repository_file = ctx.file.repository_file,
            request = request_file,
            runfiles = runfiles,
            tag_file = tag_file,
        ),
        # All that it names too, so that whoever asks for it alone can push it.
        OutputGroupInfo(request = depset([request_file] + files, transitive = [linked])),
    ]

def write_request(ctx, tool, request, image = None):
    """Writes the request that a push target's executable finds beside itself.

    Args:
        ctx: the context of the rule.
        tool: the `windlass` that writes and checks it.
        request: the fields that are known without looking into any file.
        image: the OciImageInfo of what is pushed, if it is one.

    Returns:
        A File.
    """
    name = ctx.label.name
    output = ctx.actions.declare_file(name + ".request.json")
    spec = ctx.actions.declare_file(name + ".request.spec.json")
    ctx.actions.write(spec, json.encode({
        "blobs": layer_specs(image) if image else [],
        "documents": [file.path for file in image.documents.to_list()] if image else [],
        "output": output.path,
        "request": request | {
            "folder": "/".join([".."] * output.dirname.count("/") + [".."]),
            "name": show(ctx.label),
            "runfiles": _RUNFILES,
            "version": 1,
        },
        "root": image.descriptor.path if image else None,
        "target": show(ctx.label),
    }))
    inputs = [spec]
    if image:
        inputs += [image.descriptor] + image.documents.to_list()
        inputs += [layer.descriptor for layer in image.layers.to_list()]
    ctx.actions.run(
        executable = tool,
        arguments = ["build", "request", spec.path],
        inputs = inputs,
        outputs = [output],
        mnemonic = "OciPushRequest",
        progress_message = "Listing what %{label} pushes",
    )
    return output

def root_symlinks(files):
    """Where a request's files lie in runfiles.

    Args:
        files: a list of Files.

    Returns:
        A dict for ctx.runfiles().
    """
    return {"{}/{}".format(_RUNFILES, file.path): file for file in files}

def _check_repository(ctx):
    repository = ctx.attr.repository
    if repository and ctx.file.repository_file:
        fail("repository and repository_file are two ways to say one thing; leave one of them out")
    if "@" in repository:
        fail("repository = \"{}\": a repository has no digest; the image says which it is".format(repository))
    if repository and "/" not in repository:
        fail("repository = \"{}\": a repository is HOST/NAME, such as ghcr.io/my-org/app".format(repository))
    if ":" in repository.split("/")[-1]:
        fail("repository = \"{}\": a repository has no tag; tags belong into image_tags".format(repository))

def _tag_file(ctx):
    given = [name for name in TAG_ATTRS if getattr(ctx.file, name)]
    if len(given) > 1:
        fail("{} mean the same; leave all but one out".format(" and ".join(given)))
    return getattr(ctx.file, given[0]) if given else None

oci_push = rule(
    doc = _DOC,
    implementation = _oci_push_impl,
    attrs = _ATTRS | STAMP_ATTRS | TOOLCHAIN_ATTRS,
    executable = True,
    provides = [OciPushInfo],
    toolchains = TOOLCHAINS,
)

"""What the rules tell one another, and rules that build on them."""

OciImageInfo = provider(
    doc = """An image or an index, by its parts.

No file of it holds another's bytes: layers are the archives that the image was made of, where they
were built, and what comes from a layout directory stays there.""",
    fields = {
        "config": "File: the config; None for an index.",
        "descriptor": "File: the descriptor (JSON) of `manifest`, with the platform of an image.",
        "digest": "File: the digest of `manifest` as text, with a newline.",
        "documents": "depset of Files: all manifests, indexes and configs that are reached.",
        "layers": "depset of structs, the layers that are files of their own: `file` is the archive, " +
                  "`descriptor` a file with its media type, digest, size and diff id (JSON).",
        "layouts": "depset of Files: layout directories that hold the other layers.",
        "linked": "depset of Files: what links in `layouts` lead to, outside of these.",
        "manifest": "File: the manifest or index.",
    },
)

OciPushInfo = provider(
    doc = "What an `oci_push` pushes, and where to.",
    fields = {
        "files": "depset of Files: the request and all that it names.",
        "flags": "list of strings: flags of `windlass push`.",
        "image": "OciImageInfo: the image; None where it is a layout directory of other rules.",
        "layout": "File: the layout directory of other rules; None where `image` is set.",
        "referrers": "list of Files: layouts with what refers to the image.",
        "repository": "string: the repository; empty where it comes from `repository_file` or the command line.",
        "repository_file": "File: holds the repository; or None.",
        "request": "File: the request, which `windlass push --request` takes.",
        "runfiles": "runfiles: all that the request names.",
        "tag_file": "File: the tags, one a line; or None.",
    },
)

"""Rules that build OCI images and push them into registries.

All that a BUILD file loads is here.
"""

load("//oci/private:image.bzl", "DICT_ATTRS", "LIST_ATTRS", _oci_image = "oci_image")
load("//oci/private:index.bzl", _oci_image_index = "oci_image_index")
load("//oci/private:lines_file.bzl", "lines_file")
load("//oci/private:providers.bzl", _OciImageInfo = "OciImageInfo", _OciPushInfo = "OciPushInfo")
load("//oci/private:push.bzl", "TAG_ATTRS", _oci_push = "oci_push")
load("//oci/private:push_all.bzl", _oci_push_all = "oci_push_all")

OciImageInfo = _OciImageInfo
OciPushInfo = _OciPushInfo
oci_push_all = _oci_push_all

def oci_image(name, **kwargs):
    """Builds an OCI image from archives.

    Args:
        name: the name of the target; `NAME.digest` is a file with the image's digest.
        **kwargs: attributes of the rule. Those that are lists or dicts may be the label of a file.
    """

    # rules_oci's word on how much of a machine its actions need. Ours read one archive in little memory.
    kwargs.pop("resource_set", None)
    _oci_image(name = name, **_files(name, kwargs, LIST_ATTRS + DICT_ATTRS))
    _digest(name, kwargs)

def oci_image_index(name, **kwargs):
    """Builds an index of the images of several platforms.

    Args:
        name: the name of the target; `NAME.digest` is a file with the index's digest.
        **kwargs: attributes of the rule. `annotations` may be the label of a file.
    """
    _oci_image_index(name = name, **_files(name, kwargs, ["annotations"]))
    _digest(name, kwargs)

def oci_push(name, **kwargs):
    """Pushes an image or an index to a registry, by its digest, then sets tags.

    Args:
        name: the name of the target.
        **kwargs: attributes of the rule. `image_tags` may be a list of strings.
    """
    for attribute in TAG_ATTRS:
        if type(kwargs.get(attribute)) == "list":
            kwargs[attribute] = _lines(name, attribute, kwargs, are_tags = True)
    _oci_push(name = name, **kwargs)

def _digest(name, kwargs):
    native.filegroup(
        name = name + ".digest",
        srcs = [name],
        output_group = "digest",
        **{key: kwargs[key] for key in ["tags", "testonly", "visibility"] if key in kwargs}
    )

def _files(name, kwargs, attributes):
    """Turns `env = "//some:label"` into `env_file`, and an empty list, which is not none, into a file."""
    for attribute in attributes:
        value = kwargs.get(attribute)
        is_file = type(value) in ["string", "Label"]
        if type(value) == "string" and attribute in LIST_ATTRS and (" " in value or (value[:1] == "/" and value[:2] != "//")):
            fail("{} = \"{}\" of {}: a list of strings is wanted, or the label of a file".format(attribute, value, name))
        if is_file and kwargs.get(attribute + "_file"):
            fail("{0} and {0}_file of {1} are two ways to say one thing; leave one of them out".format(attribute, name))
        if is_file:
            kwargs[attribute + "_file"] = kwargs.pop(attribute)
        elif attribute in ["entrypoint", "cmd"] and value == []:
            kwargs[attribute + "_file"] = _lines(name, attribute, kwargs)
            kwargs.pop(attribute)
    return kwargs

def _lines(name, attribute, kwargs, are_tags = False):
    """Makes the list of an attribute a file; its target."""
    target = "{}.{}".format(name, attribute)
    lines_file(
        name = target,
        are_tags = are_tags,
        lines = kwargs[attribute],
        tags = ["manual"],
        testonly = kwargs.get("testonly"),
        visibility = ["//visibility:private"],
    )
    return target

use super::*;

#[track_caller]
fn check(from: &str, to: &str, expected: Option<&str>) {
    let way = relative(Path::new(from), Path::new(to));
    assert_eq!(way, expected.map(PathBuf::from), "{from} -> {to}");
}

#[test]
fn a_link_leads_from_folder_to_file() {
    let folder = "bazel-out/k8-fastbuild/bin/app/image/blobs/sha256";
    check(folder, "bazel-out/k8-fastbuild/bin/app/layer.tar", Some("../../../layer.tar"));
    check(folder, "bazel-out/other/bin/x", Some("../../../../../../other/bin/x"));
    check(folder, "app/layer.tar", Some("../../../../../../../app/layer.tar"));
    check(
        folder,
        "external/base/blobs/sha256/00",
        Some("../../../../../../../external/base/blobs/sha256/00"),
    );
    check("a/blobs", "a/blobs/x", Some("x"));
    check("./a/./b", "a/c/../d", Some("../d"));
    check("/a/b", "/a/c", Some("../c"));
    check("/a", "/b/c", Some("../b/c"));
    check("a", "/a", None);
    check("/a", "a", None);
    check("a/b", "../c", Some("../../../c"));
    check("../a", "../b", Some("../b"));
    check("/a", "/../b", Some("../b"));
    check("../a", "b", None);
    check("a/../../b", "c", None);
}

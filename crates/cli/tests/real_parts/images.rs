//! Images of a real root filesystem (busybox), built by buildah and by umoci.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tools::run;

/// An image in a layout, and what its builder says of it.
pub(crate) struct Image {
    pub(crate) layout: PathBuf,
    pub(crate) media_type: String,
    pub(crate) digest: String,
}

const TAG: &str = "built";
const GREETING: &str = "hauled";

impl Image {
    fn read(layout: PathBuf) -> Image {
        let (media_type, digest) = root(&layout);
        Image { layout, media_type, digest }
    }

    /// As skopeo names it.
    pub(crate) fn transport(&self) -> String {
        format!("oci:{}:{TAG}", self.layout.display())
    }
}

/// Media type and digest of the one root of a layout.
pub(crate) fn root(layout: &Path) -> (String, String) {
    let index: Value = read_json(&layout.join("index.json"));
    let roots = index["manifests"].as_array().unwrap();
    assert_eq!(roots.len(), 1, "{index}");
    let text = |key: &str| roots[0][key].as_str().unwrap().to_owned();
    (text("mediaType"), text("digest"))
}

pub(crate) fn by_buildah(work: &Path) -> Image {
    let buildah = Buildah::new(work);
    let layout = work.join("by-buildah");
    let container = buildah.container("amd64");
    buildah.run(|buildah| {
        let to = format!("oci:{}:{TAG}", layout.display());
        buildah.args(["commit", "--quiet", "--format", "oci", &container, &to])
    });
    Image::read(layout)
}

/// An index of two images, which differ in their configurations only.
pub(crate) fn index_by_buildah(work: &Path) -> Image {
    let buildah = Buildah::new(work);
    let layout = work.join("index-by-buildah");
    buildah.run(|buildah| buildah.args(["manifest", "create", "all"]));
    for architecture in ["amd64", "arm64"] {
        let container = buildah.container(architecture);
        buildah.run(|buildah| {
            buildah.args(["commit", "--quiet", "--format", "oci", &container, architecture])
        });
        buildah.run(|buildah| buildah.args(["manifest", "add", "all", architecture]));
    }
    buildah.run(|buildah| {
        buildah.args(["manifest", "push", "--quiet", "--all", "all"]);
        buildah.arg(format!("oci:{}:{TAG}", layout.display()))
    });
    Image::read(layout)
}

pub(crate) fn by_umoci(work: &Path) -> Image {
    let layout = work.join("by-umoci");
    let image = format!("{}:{TAG}", layout.display());
    let bundle = work.join("by-umoci-bundle");
    run("umoci", |umoci| umoci.arg("init").arg("--layout").arg(&layout));
    run("umoci", |umoci| umoci.args(["new", "--image", &image]));
    run("umoci", |umoci| umoci.args(["unpack", "--image", &image]).arg(&bundle));
    fill(&bundle.join("rootfs"));
    run("umoci", |umoci| umoci.args(["repack", "--image", &image]).arg(&bundle));
    run("umoci", |umoci| umoci.args(["config", "--image", &image, "--config.cmd", "/bin/sh"]));
    run("umoci", |umoci| umoci.arg("gc").arg("--layout").arg(&layout));
    Image::read(layout)
}

/// Unpacks an image with umoci and runs its shell in its root.
#[track_caller]
pub(crate) fn unpack_and_enter(layout: &Path, tag: &str, bundle: &Path) {
    let image = format!("{}:{tag}", layout.display());
    run("umoci", |umoci| umoci.args(["unpack", "--image", &image]).arg(bundle));
    let said = run("chroot", |chroot| {
        chroot.arg(bundle.join("rootfs")).args(["/bin/sh", "-c", "/bin/cat /etc/greeting"])
    });
    assert_eq!(said, GREETING);
}

/// Buildah with a store of its own, so that nothing of it stays behind.
struct Buildah {
    store: PathBuf,
    root_filesystem: PathBuf,
}

impl Buildah {
    fn new(work: &Path) -> Buildah {
        let store = tempfile::tempdir_in(work).unwrap().keep();
        let root_filesystem = store.join("root-filesystem");
        fs::create_dir(&root_filesystem).unwrap();
        fill(&root_filesystem);
        Buildah { store, root_filesystem }
    }

    fn container(&self, architecture: &str) -> String {
        let from = self.run(|buildah| buildah.args(["from", "--arch", architecture, "scratch"]));
        let container = from.trim().to_owned();
        self.run(|buildah| {
            buildah.args(["copy", "--quiet", &container]).arg(&self.root_filesystem).arg("/")
        });
        self.run(|buildah| {
            buildah.args(["config", "--arch", architecture, "--cmd", "/bin/sh", &container])
        });
        container
    }

    #[track_caller]
    fn run(&self, prepare: impl FnOnce(&mut Command) -> &mut Command) -> String {
        run("buildah", |buildah| {
            buildah.arg("--root").arg(self.store.join("root"));
            buildah.arg("--runroot").arg(self.store.join("run"));
            // The overlay driver is not to be had in every container, and this one is.
            buildah.args(["--storage-driver", "vfs"]);
            prepare(buildah)
        })
    }
}

/// A root filesystem that a shell runs in: a program, links, modes and an owner.
fn fill(root: &Path) {
    for folder in ["bin", "etc", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let busybox = run("sh", |sh| sh.args(["-c", "command -v busybox"]));
    fs::copy(busybox.trim(), root.join("bin/busybox")).unwrap();
    for name in ["sh", "cat"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(root.join("etc/greeting"), GREETING).unwrap();
    fs::hard_link(root.join("etc/greeting"), root.join("etc/greeting-again")).unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

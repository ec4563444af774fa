//! Launchers: links to the command that have a request file beside them, as Bazel lays them, started
//! in all the ways that Bazel and its users start them.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_testkit::{Image, ImageBuilder, TestRegistry};

use crate::harness::{Run, run};

/// The folder in runfiles trees that the files of requests lie below.
const FILES: &str = "windlass.files";

/// What Bazel would have built: `out/app/push`, and an image `out/image` somewhere.
struct Built {
    folder: TempDir,
    registry: TestRegistry,
    image: Image,
}

impl Built {
    fn new(seed: u64) -> Built {
        let folder = tempfile::tempdir().unwrap();
        let image = ImageBuilder::new(seed).layers(2, 10_000).build();
        let built = Built { folder, registry: TestRegistry::plain(), image };
        let launcher = built.at("out/app/push");
        fs::create_dir_all(launcher.parent().unwrap()).unwrap();
        symlink(env!("CARGO_BIN_EXE_windlass"), launcher).unwrap();
        built.request(&json!({ "tags": ["v1", "v2"] }));
        built
    }

    fn at(&self, place: &str) -> PathBuf {
        self.folder.path().join(place)
    }

    /// Writes the launcher's request, with these fields too.
    fn request(&self, more: &Value) {
        let root = self.image.root();
        let blobs: serde_json::Map<_, _> = self
            .image
            .parts()
            .iter()
            .map(|part| part.descriptor.digest.to_string())
            .map(|digest| (digest.clone(), format!("out/image/blobs/{}", digest.replace(':', "/"))))
            .map(|(digest, path)| (digest, path.into()))
            .collect();
        let mut document = json!({
            "version": 1,
            "name": "//app:push",
            "folder": "../..",
            "runfiles": FILES,
            "root": { "mediaType": root.media_type, "digest": root.digest, "size": root.size },
            "blobs": blobs,
            "repositories": [self.repository()],
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fs::write(self.at("out/app/push.request.json"), document.to_string()).unwrap();
    }

    /// Puts the image's files there.
    fn files_in(&self, place: &str) {
        self.image.write_directory(&self.at(place)).unwrap();
    }

    fn repository(&self) -> String {
        format!("{}/app", self.registry.host())
    }

    /// The program at a place, with nothing around it: neither PATH nor HOME.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.at(program));
        command.env_clear().stdin(Stdio::null()).current_dir("/");
        command
    }

    /// Runs it to its end, and sees that all is there.
    #[track_caller]
    fn pushes(&self, command: &mut Command, tags: &[&str]) -> Run {
        let ran = run(command).ends_with(0);
        assert_eq!(ran.stdout, format!("{}@{}\n", self.repository(), self.image.digest()));
        assert!(self.registry.has_image("app", &self.image));
        let set = self.registry.tags_set();
        let set: Vec<_> = set.iter().map(|set| set.tag.as_str()).collect();
        assert_eq!(set, tags);
        ran
    }
}

#[test]
fn files_are_found_where_they_were_built() {
    let built = Built::new(61);
    built.files_in("out/image");
    built.pushes(&mut built.command("out/app/push"), &["v1", "v2"]);
}

#[test]
fn files_are_found_in_the_launchers_runfiles_whatever_the_environment_says() {
    let built = Built::new(62);
    built.files_in("out/app/push.runfiles/windlass.files/out/image");
    let mut command = built.command("out/app/push");
    let wrong = built.at("other.runfiles");
    fs::create_dir(&wrong).unwrap();
    command.env("RUNFILES_DIR", &wrong);
    command.env("RUNFILES_MANIFEST_FILE", wrong.join("MANIFEST"));
    built.pushes(&mut command, &["v1", "v2"]);
}

#[test]
fn files_are_found_by_a_manifest_where_there_are_no_links() {
    let built = Built::new(63);
    built.files_in("elsewhere");
    let tree = built.at("out/app/push.runfiles");
    fs::create_dir(&tree).unwrap();
    let line = format!("{FILES}/out/image {}\n", built.at("elsewhere").display());
    fs::write(tree.join("MANIFEST"), line).unwrap();
    built.pushes(&mut built.command("out/app/push"), &["v1", "v2"]);
}

#[test]
fn a_launcher_that_is_data_of_a_test_finds_its_files_in_the_tests_runfiles() {
    let built = Built::new(64);
    let tree = "out/test.runfiles";
    built.files_in(&format!("{tree}/{FILES}/out/image"));
    fs::create_dir_all(built.at(&format!("{tree}/_main/app"))).unwrap();
    for name in ["push", "push.request.json"] {
        let built_file = built.at(&format!("out/app/{name}"));
        symlink(built_file, built.at(&format!("{tree}/_main/app/{name}"))).unwrap();
    }
    let mut command = built.command(&format!("{tree}/_main/app/push"));
    command.env("RUNFILES_DIR", built.at(tree));
    built.pushes(&mut command, &["v1", "v2"]);
}

#[test]
fn a_launcher_is_found_on_the_path_and_by_links_to_it() {
    let built = Built::new(65);
    built.files_in("out/image");
    let mut by_path = built.command("out/app/push");
    by_path.arg0("push").env("PATH", built.at("out/app"));
    built.pushes(&mut by_path, &["v1", "v2"]);
    symlink("out/app/push", built.at("link")).unwrap();
    run(&mut built.command("link")).ends_with(0);
}

#[test]
fn what_is_typed_goes_before_the_requests_own_and_counts_more_than_its_flags() {
    let built = Built::new(66);
    built.files_in("out/image");
    built.request(&json!({ "tags": ["v1"], "flags": ["--output", "json", "--color", "always"] }));
    let ran = run(built.command("out/app/push").args(["-t", "latest"])).ends_with(0);
    let [receipt] = <[_; 1]>::try_from(ran.documents()).unwrap();
    assert_eq!(receipt["name"], "//app:push");
    let tags: Vec<_> = receipt["repositories"][0]["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["tag"])
        .collect();
    assert_eq!(tags, ["latest", "v1"]);
    built.pushes(built.command("out/app/push").args(["--output", "text"]), &["latest", "v1"]);
    let ran = run(built.command("out/app/push").args(["-t", "a b"])).ends_with(2);
    ran.says("a b").says("is malformed");
    let typed = ["--color", "never", "image"];
    let ran = run(built.command("out/app/push").args(typed)).ends_with(2);
    ran.says("error: unexpected argument \"image\": the image is that of //app:push");
}

#[test]
fn a_repository_that_nobody_names_is_asked_for_by_the_targets_name() {
    let built = Built::new(67);
    built.request(&json!({ "repositories": [] }));
    let ran = run(&mut built.command("out/app/push")).ends_with(2);
    ran.says("bazel run //app:push -- --repository HOST/NAME");
    assert!(built.registry.log().is_empty());
}

#[test]
fn relative_paths_begin_where_the_user_of_bazel_run_stands() {
    let built = Built::new(68);
    built.files_in("out/app/push.runfiles/windlass.files/out/image");
    let (user, inside) = (built.at("user"), built.at("out/app/push.runfiles/_main"));
    for folder in [&user, &inside] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(user.join("tags"), "v0\n").unwrap();
    let typed = ["--tag-file", "tags", "--receipt", "receipt.json"];
    let mut command = built.command("out/app/push");
    command.current_dir(&inside).env("BUILD_WORKING_DIRECTORY", &user).args(typed);
    built.pushes(&mut command, &["v0", "v1", "v2"]);
    let receipt: Value =
        serde_json::from_slice(&fs::read(user.join("receipt.json")).unwrap()).unwrap();
    assert_eq!(receipt["outcome"], "pushed");
    // Whoever stands elsewhere stays there, in the runfiles of a script around it say.
    let script = built.at("out/app/script.runfiles/_main");
    fs::create_dir_all(&script).unwrap();
    fs::write(script.join("tags"), "v4\n").unwrap();
    let mut command = built.command("out/app/push");
    command.current_dir(&script).env("BUILD_WORKING_DIRECTORY", &user);
    run(command.args(["--tag-file", "tags"])).ends_with(0);
    assert_eq!(built.registry.tag("app", "v4").as_ref(), Some(built.image.digest()));
    fs::write(built.at("tags"), "v3\n").unwrap();
    let mut command = built.command("out/app/push");
    command.current_dir(built.folder.path()).env("BUILD_WORKING_DIRECTORY", &user);
    run(command.args(["--tag-file", "tags"])).ends_with(0);
    assert_eq!(built.registry.tag("app", "v3").as_ref(), Some(built.image.digest()));
}

#[test]
fn a_request_that_is_gone_or_broken_is_told() {
    let built = Built::new(69);
    let request = built.at("out/app/push.request.json");
    fs::write(&request, "{").unwrap();
    run(&mut built.command("out/app/push")).ends_with(2).says(request.to_str().unwrap());
    fs::remove_file(&request).unwrap();
    symlink("nowhere", &request).unwrap();
    run(&mut built.command("out/app/push")).ends_with(2).says("cannot read the request ");
    // Without one it is the command itself.
    fs::remove_file(&request).unwrap();
    let ran = run(built.command("out/app/push").arg("--version")).ends_with(0);
    assert!(ran.stdout.starts_with("windlass "), "{}", ran.stdout);
}

#[test]
fn nothing_in_the_working_folder_makes_a_launcher() {
    let built = Built::new(70);
    let here = built.at("here");
    fs::create_dir(&here).unwrap();
    fs::write(here.join("windlass.request.json"), "{}").unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_windlass"));
    let mut command = Command::new(bin);
    command.arg0("windlass").env_clear().env("PATH", bin.parent().unwrap()).current_dir(&here);
    run(command.arg("--version")).ends_with(0);
}

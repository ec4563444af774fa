//! A copy of the examples' workspace, and the Bazel that works in it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tempfile::TempDir;

/// A workspace in a folder of its own.
///
/// All tests work in one, one after another, because starting a Bazel takes longer than most tests. It
/// goes away with the last test: with two threads there is always one that waits for it.
pub(crate) struct Workspace {
    work: TempDir,
    /// What it is a copy of.
    original: PathBuf,
    /// Where Bazel puts everything, its server's files included.
    roots: Mutex<Vec<PathBuf>>,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The workspace, for one test at a time.
pub(crate) struct Turn {
    workspace: Arc<Workspace>,
    _turn: MutexGuard<'static, ()>,
}

/// Whether there is a Bazel; where there is none the test is to be left.
pub(crate) fn workspace() -> Option<Turn> {
    static SHARED: Mutex<Weak<Workspace>> = Mutex::new(Weak::new());
    static TURN: Mutex<()> = Mutex::new(());

    if std::env::var_os("WINDLASS_BAZEL").is_none_or(|value| value != "1") {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        println!("SKIPPED {test}: set WINDLASS_BAZEL=1 where Bazel is installed");
        return None;
    }
    let workspace = {
        // A test that failed has left nothing half done: what it wrote is overwritten by whoever needs it.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Workspace::of_examples(&format!(
                "windlass.toolchain(path = {WINDLASS:?})"
            )));
            *shared = Arc::downgrade(&new);
            new
        })
    };
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Some(Turn { workspace, _turn: turn })
}

impl std::ops::Deref for Turn {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

/// The tree that this test is part of.
pub(crate) fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The command under test.
pub(crate) const WINDLASS: &str = env!("CARGO_BIN_EXE_windlass");

impl Workspace {
    /// A copy of the examples, with the packages of these tests in its folder `tests`. This line in
    /// `MODULE.bazel` says where its `windlass` comes from.
    pub(crate) fn of_examples(toolchain: &str) -> Workspace {
        let workspace = Workspace::copy_of(&source().join("examples/bazel"), toolchain);
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bazel/packages");
        copy(&packages, &workspace.folder().join("tests"));
        workspace
    }

    /// A copy of a workspace, which uses the rules in this tree.
    pub(crate) fn copy_of(original: &Path, toolchain: &str) -> Workspace {
        let work = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let workspace = Workspace { work, original: original.to_owned(), roots: Mutex::default() };
        copy(original, &workspace.folder());
        fs::create_dir(workspace.home()).unwrap();
        let module = format!("common --override_module=windlass={}\n", source().display());
        fs::write(workspace.home().join(".bazelrc"), module).unwrap();
        workspace.set_toolchain(toolchain);
        workspace
    }

    /// Puts this line in place of the one that says where `windlass` comes from.
    pub(crate) fn set_toolchain(&self, line: &str) {
        let mut text = fs::read_to_string(self.original.join("MODULE.bazel")).unwrap();
        text += "windlass = use_extension(\"@windlass//oci:extensions.bzl\", \"windlass\")\n";
        fs::write(self.folder().join("MODULE.bazel"), text + line).unwrap();
    }

    /// The workspace's own folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.work.path().join("workspace")
    }

    /// A home with no logins, and no settings but where these rules are.
    fn home(&self) -> PathBuf {
        self.work.path().join("home")
    }

    /// A new folder, for a test to keep things in.
    pub(crate) fn scratch(&self) -> TempDir {
        TempDir::new_in(self.work.path()).unwrap()
    }

    /// A file or folder in `bazel-bin`.
    pub(crate) fn bin(&self, path: &str) -> PathBuf {
        self.folder().join("bazel-bin").join(path)
    }

    /// `bazel-bin` of an output root other than the shared one.
    pub(crate) fn bin_in(&self, root: &str) -> PathBuf {
        let told = run(&mut self.bazel_in(root, ["info", "bazel-bin"])).ends_with(0).stdout;
        PathBuf::from(told.trim())
    }

    /// Bazel, in the output root that most tests share.
    pub(crate) fn bazel<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        self.bazel_in("shared", arguments)
    }

    /// Bazel in an output root of this name: what another has built is not there.
    pub(crate) fn bazel_in<S: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let root = self.work.path().join(name);
        let mut roots = self.roots.lock().unwrap();
        if !roots.contains(&root) {
            roots.push(root.clone());
        }
        let mut command = self.command("bazel");
        command.arg(option("--output_user_root=", &root));
        command.args(["--max_idle_secs=60", "--host_jvm_args=-Xmx1g"]).args(arguments);
        command
    }

    /// A program with a home of its own, in the workspace.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home()).env("USER", "tester");
        // The workspace is no checkout, even where it lies in one.
        command.env("GIT_CEILING_DIRECTORIES", self.work.path());
        command.current_dir(self.folder()).stdin(Stdio::null());
        command
    }

    /// Builds targets; flags may be among them.
    #[track_caller]
    pub(crate) fn build<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        run(self.bazel(["build", "--color=no", "--curses=no"]).args(arguments))
    }

    /// Builds targets in another output root, and leaves the links to the shared one alone.
    #[track_caller]
    pub(crate) fn build_in(&self, root: &str, arguments: &[&str]) -> Run {
        let build = ["build", "--color=no", "--curses=no", "--symlink_prefix=/"];
        run(self.bazel_in(root, build).args(arguments))
    }

    /// `bazel run FLAGS TARGET -- ARGUMENTS`
    pub(crate) fn push(&self, flags: &[&str], target: &str, arguments: &[&str]) -> Run {
        let mut command = self.bazel(["run", "--color=no", "--curses=no"]);
        run(command.args(flags).args([target, "--"]).args(arguments))
    }

    /// Ends the server of an output root and removes the root.
    pub(crate) fn forget(&self, name: &str) {
        let root = self.work.path().join(name);
        self.roots.lock().unwrap().retain(|other| *other != root);
        self.remove(&root);
    }

    fn remove(&self, root: &Path) {
        let mut bazel = self.command("bazel");
        let _ = bazel.arg(option("--output_user_root=", root)).arg("shutdown").output();
        // Bazel takes the right to write from what it has built.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(root).output();
        let _ = fs::remove_dir_all(root);
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        for root in self.roots.get_mut().unwrap_or_else(PoisonError::into_inner).clone() {
            self.remove(&root);
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    match command.output() {
        Ok(output) => output.into(),
        Err(error) => panic!("{command:?} cannot be started: {error}"),
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Checks how it ended.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that standard error has this in it.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Run {
        assert!(self.stderr.contains(words), "no {words:?} in: {}", self.stderr);
        self
    }
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

/// Copies a folder, without what a Bazel that was run there has left.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

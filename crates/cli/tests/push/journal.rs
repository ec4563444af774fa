//! The command with a journal that is of no use: it says so to those who ask, and pushes without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use windlass_testkit::{Call, Image, Layout, TestRegistry, on};

use crate::harness::{Run, run};
use crate::resume::{blobs, command, image, is_large, signal, start, wait_until};

/// A push that was killed, and what it left.
struct Killed {
    registry: TestRegistry,
    image: Image,
    layout: Layout,
    state: PathBuf,
}

impl Killed {
    /// Kills one that keeps its journal in `state`.
    fn in_state(state: &Path) -> Killed {
        let (registry, image) = (TestRegistry::plain(), image());
        let layout = image.directory();
        let killed = Killed { registry, image, layout, state: state.to_owned() };
        let stall = on(Call::UploadPut).matching(is_large).once().stall_after(5_000_000);
        killed.registry.fault(stall);
        let mut child = start(&mut killed.command(&[]));
        wait_until(|| killed.registry.log().iter().any(|seen| seen.fault == Some("stall")));
        signal(&child, "-KILL");
        child.wait().unwrap();
        killed.registry.heal();
        killed
    }

    fn command(&self, more: &[&str]) -> Command {
        let state = ["--state-dir", self.state.to_str().unwrap()];
        command(&self.layout, &self.registry.host(), &[&state[..], more].concat())
    }

    /// The file that has the session.
    fn session(&self) -> PathBuf {
        let files = fs::read_dir(self.state.join("journal")).unwrap();
        let mut files = files.map(|entry| entry.unwrap().path());
        let is_session = |path: &PathBuf| path.to_str().unwrap().contains("/upload-");
        files.find(is_session).unwrap()
    }

    /// Pushes again, which goes well, goes on with nothing, and says this.
    #[track_caller]
    fn pushes_anew_and_says(&self, words: &str) {
        let ran: Run = run(&mut self.command(&["-v"])).ends_with(0);
        assert_eq!(blobs(&ran)["resumed"], 0, "{words}");
        assert!(self.registry.has_image("app", &self.image), "{words}");
        assert_eq!(self.registry.calls(Call::UploadGet).len(), 0, "{words}");
        let ran = ran.says(words).says("the push goes on without it");
        // What was read may be a secret.
        ran.never_says("uploads/");
        // Nobody hears of it who does not ask.
        run(&mut self.command(&[])).ends_with(0).never_says("journal");
    }
}

/// The record in a session's file, with this put for that, and right again.
fn forge(path: &Path, from: &str, to: &str) {
    let line = fs::read_to_string(path).unwrap();
    let parts: Vec<&str> = line.trim_end().splitn(4, ' ').collect();
    let json = parts[3].replacen(from, to, 1);
    let sum: String = Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(path, format!("{} {} {} {json}\n", parts[0], parts[1], &sum[..16])).unwrap();
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// A file system of its own, of so many bytes, until it is dropped.
struct Mounted(TempDir);

impl Mounted {
    /// `None` where this user cannot have one: what needs it is left then, and has said so.
    #[expect(clippy::print_stderr, reason = "a test that tests nothing must not look like success")]
    fn of(size: &str) -> Option<Mounted> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder.path());
        let is_mounted = is_root() && mount.output().is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("SKIPPED a part: no file system can be mounted here");
        }
        is_mounted.then(|| Mounted(folder))
    }

    fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        assert!(mount.args(["-o", "remount,ro"]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_session_that_is_cut_old_or_of_another_version_is_passed_over() {
    let check = |spoil: &dyn Fn(&Path), words: &str| {
        let state = tempfile::tempdir().unwrap();
        let killed = Killed::in_state(state.path());
        spoil(&killed.session());
        killed.pushes_anew_and_says(words);
    };
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    check(&cut, "it is cut or damaged");
    check(&|path| forge(path, r#""written":"#, r#""written":1,"was":"#), "it has expired");
    let other_version = |path: &Path| {
        let line = fs::read_to_string(path).unwrap();
        fs::write(path, line.replacen("windlass-journal 1 ", "windlass-journal 2 ", 1)).unwrap();
    };
    check(&other_version, "it is of another version");
}

#[test]
#[cfg(unix)]
fn what_is_another_users_is_not_used() {
    if !is_root() {
        eprintln!("SKIPPED: only root can give a file to another user");
        return;
    }
    let give_away = |path: &Path| std::os::unix::fs::chown(path, Some(65534), None).unwrap();
    let state = tempfile::tempdir().unwrap();
    let killed = Killed::in_state(state.path());
    give_away(&killed.session());
    killed.pushes_anew_and_says("others may read it, or it is another user's");
    let state = tempfile::tempdir().unwrap();
    let killed = Killed::in_state(state.path());
    give_away(&state.path().join("journal"));
    killed.pushes_anew_and_says("it is no folder of this user alone");
}

#[test]
#[cfg(target_os = "linux")]
fn a_journal_that_is_read_only_or_on_a_full_disk_is_done_without() {
    let Some(disk) = Mounted::of("1m") else { return };
    let killed = Killed::in_state(disk.0.path());
    disk.make_read_only();
    killed.pushes_anew_and_says("Read-only file system");
    drop(disk);

    // Room for the record that there is, and for none beside it.
    let Some(disk) = Mounted::of("8k") else { return };
    let killed = Killed::in_state(disk.0.path());
    fs::remove_file(killed.session()).unwrap();
    fs::write(disk.0.path().join("filler"), [7; 8192]).unwrap();
    killed.pushes_anew_and_says("No space left on device");
}

#[test]
fn a_journal_that_cannot_be_written_is_told_to_those_who_ask() {
    let image = image();
    let push = |more: &[&str], limit: &str| {
        let (registry, layout) = (TestRegistry::plain(), image.directory());
        let ran = {
            let pushing = command(&layout, &registry.host(), more);
            let mut limited = Command::new("sh");
            limited.args(["-c", &format!("trap '' XFSZ; {limit} exec \"$0\" \"$@\"")]);
            limited.arg(pushing.get_program()).args(pushing.get_args()).env_clear();
            run(&mut limited).ends_with(0)
        };
        assert!(registry.has_image("app", &image));
        ran
    };
    // No folder can be made there, whoever one is.
    let of_kernel = ["--state-dir", "/proc/none"];
    if cfg!(target_os = "linux") {
        push(&of_kernel, "").never_says("journal");
        push(&[&of_kernel[..], &["-v"]].concat(), "").says("cannot keep a journal in /proc/none");
    }
    // Files cannot grow, as on a full disk.
    let state = tempfile::tempdir().unwrap();
    let full = ["--state-dir", state.path().to_str().unwrap()];
    push(&full, "ulimit -f 0;").never_says("journal");
    push(&[&full[..], &["-v"]].concat(), "ulimit -f 0;").says("the push goes on without it");
}

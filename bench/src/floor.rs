//! The floor: the fewest requests that do what a push promises, replayed over raw sockets by a client
//! that reads of an answer nothing but its status and where an upload goes on. No client that asks
//! before it sends, and sets tags one after another, can be faster on this link and this registry.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use windlass_oci::{Descriptor, Digest, MediaType};
use windlass_testkit::{Image, with_digest};

/// What is sent: stages one after another, in each of them lanes side by side, in each of these one
/// request after another on a connection of its own. The connections are opened at the beginning.
pub(crate) struct Script {
    stages: Vec<Vec<Lane>>,
}

type Lane = Vec<Step>;

enum Step {
    Head(String),
    /// POST, and PUT to where that says.
    Upload {
        start: String,
        digest: Digest,
        bytes: Vec<u8>,
    },
    Put {
        path: String,
        media_type: MediaType,
        bytes: Vec<u8>,
    },
}

/// What the registry has before a push.
#[derive(Clone, Copy)]
pub(crate) struct There<'a> {
    /// An image that is there already: the same, or one that shares parts with it.
    pub(crate) image: Option<&'a Image>,
    /// Whether the tags name the image that is pushed.
    pub(crate) tags: bool,
}

/// More connections than that nobody should open to a host.
const MOST_LANES: usize = 16;

/// Longer answers than that are no answers to such requests.
const LONGEST: usize = 64 * 1024;

impl Script {
    /// What it takes to push `image` to `repository` under `tags`.
    pub(crate) fn of(image: &Image, repository: &str, tags: &[String], there: There<'_>) -> Script {
        let is_there = |descriptor: &Descriptor| {
            let parts = there.image.map(Image::parts).unwrap_or_default();
            parts.iter().any(|part| part.descriptor.digest == descriptor.digest)
        };
        let at = |kind: &str, name: &str| format!("/v2/{repository}/{kind}/{name}");
        let head = |descriptor: &Descriptor| {
            let kind = if descriptor.media_type.is_manifest() { "manifests" } else { "blobs" };
            Step::Head(at(kind, descriptor.digest.as_str()))
        };
        let put = |descriptor: &Descriptor, name: &str| Step::Put {
            path: at("manifests", name),
            media_type: descriptor.media_type.clone(),
            bytes: image.bytes(&descriptor.digest).to_vec(),
        };
        let root = image.root();
        let mut survey = vec![vec![head(root)]];
        let mut stages = Vec::new();
        if is_there(root) {
            if there.tags {
                survey.extend(tags.iter().map(|tag| vec![Step::Head(at("manifests", tag))]));
            }
        } else {
            let children: Vec<_> =
                image.manifests().into_iter().filter(|child| child.digest != root.digest).collect();
            survey.extend(children.iter().map(|child| vec![head(child)]));
            let held = held_by_children_that_are_there(image, &children, is_there);
            for blob in image.blobs().iter().filter(|blob| !held.contains(&blob.digest)) {
                let mut lane = vec![head(blob)];
                if !is_there(blob) {
                    lane.push(Step::Upload {
                        start: at("blobs", "uploads/"),
                        digest: blob.digest.clone(),
                        bytes: image.bytes(&blob.digest).to_vec(),
                    });
                }
                survey.push(lane);
            }
            let absent = children.iter().filter(|child| !is_there(child));
            stages.push(absent.map(|child| vec![put(child, child.digest.as_str())]).collect());
            stages.push(vec![vec![put(root, root.digest.as_str())]]);
        }
        stages.insert(0, merged(survey));
        if !there.tags {
            stages.push(vec![tags.iter().map(|tag| put(root, tag)).collect()]);
        }
        stages.retain(|stage| !stage.is_empty());
        Script { stages }
    }

    /// Sends it all, and says how long it took.
    pub(crate) fn replay(&self, to: SocketAddr) -> Result<Duration> {
        let lanes = self.stages.iter().map(Vec::len).max().unwrap_or_default();
        let start = Instant::now();
        let mut connections =
            (0..lanes).map(|_| Connection::open(to)).collect::<Result<Vec<_>>>()?;
        for stage in &self.stages {
            thread::scope(|scope| {
                let lanes = stage.iter().zip(&mut connections);
                let lanes = lanes.map(|(lane, connection)| scope.spawn(|| connection.run(lane)));
                let lanes: Vec<_> = lanes.collect();
                lanes.into_iter().try_for_each(|lane| match lane.join() {
                    Ok(result) => result,
                    Err(_) => bail!("a lane of the floor broke off"),
                })
            })?;
        }
        Ok(start.elapsed())
    }
}

/// The blobs of children that are there, which nobody needs to ask for.
fn held_by_children_that_are_there(
    image: &Image,
    children: &[Descriptor],
    is_there: impl Fn(&Descriptor) -> bool,
) -> Vec<Digest> {
    let (held, wanted): (Vec<_>, Vec<_>) = children.iter().partition(|child| is_there(child));
    let names = |manifests: Vec<&Descriptor>| -> Vec<Digest> {
        let texts = manifests.iter().map(|manifest| image.bytes(&manifest.digest));
        let texts: Vec<_> =
            texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        let blobs = image.blobs().into_iter().map(|blob| blob.digest);
        blobs.filter(|blob| texts.iter().any(|text| text.contains(blob.as_str()))).collect()
    };
    let wanted = names(wanted);
    names(held).into_iter().filter(|blob| !wanted.contains(blob)).collect()
}

/// The same work on no more lanes than one should have.
fn merged(lanes: Vec<Lane>) -> Vec<Lane> {
    let mut merged: Vec<Lane> = Vec::new();
    for (place, lane) in lanes.into_iter().enumerate() {
        match merged.get_mut(place % MOST_LANES) {
            Some(first) => first.extend(lane),
            None => merged.push(lane),
        }
    }
    merged
}

struct Connection {
    stream: TcpStream,
    host: SocketAddr,
}

impl Connection {
    fn open(to: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Connection { stream, host: to })
    }

    fn run(&mut self, lane: &[Step]) -> Result<()> {
        for step in lane {
            match step {
                Step::Head(path) => {
                    self.send("HEAD", path, None, &[])?;
                    self.receive(path, &["200", "404"])?;
                }
                Step::Upload { start, digest, bytes } => {
                    self.send("POST", start, None, &[])?;
                    let head = self.receive(start, &["202"])?;
                    let location = location(&head).context("an upload without a Location")?;
                    let path = with_digest(location, digest);
                    self.send("PUT", &path, Some("application/octet-stream"), bytes)?;
                    self.receive(&path, &["201"])?;
                }
                Step::Put { path, media_type, bytes } => {
                    self.send("PUT", path, Some(media_type.as_str()), bytes)?;
                    self.receive(path, &["201"])?;
                }
            }
        }
        Ok(())
    }

    /// In one write, as one packet would go.
    fn send(&mut self, method: &str, path: &str, kind: Option<&str>, body: &[u8]) -> Result<()> {
        let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
        let accept = if method == "HEAD" { "Accept: */*\r\n" } else { "" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{accept}{kind}Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Ok(self.stream.write_all(&bytes)?)
    }

    /// The head of an answer. None of these requests is answered with a body.
    fn receive(&mut self, path: &str, wanted: &[&str]) -> Result<String> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while !bytes.ends_with(b"\r\n\r\n") {
            let count = self.stream.read(&mut buffer)?;
            if count == 0 || bytes.len() > LONGEST {
                bail!("no answer to {path}");
            }
            bytes.extend_from_slice(&buffer[..count]);
        }
        let head = String::from_utf8_lossy(&bytes).into_owned();
        if !wanted.iter().any(|status| head.get(9..12) == Some(status)) {
            bail!("{path}: {}", head.lines().next().unwrap_or_default());
        }
        Ok(head)
    }
}

fn location(head: &str) -> Option<&str> {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim())
    })?;
    match line.split_once("://") {
        Some((_, rest)) => rest.find('/').map(|at| &rest[at..]),
        None => Some(line),
    }
}

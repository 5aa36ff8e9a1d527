//! What calls cost and how well they are heard: the real server, the real doors, calls played by `patchcord simulate`.
//!
//! Two tables. Streams of silence, 1 and 1,000 at once, without speech recognition: CPU of the server process for each.
//! Twenty calls at once in real time, with it: how late frames are handled, how soon final texts come, what is shed.
//! `cargo bench --bench calls` (or `scripts/bench-calls`, which also raises the limit on open files).

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_patchcord");
/// Clock ticks a second in /proc; fixed by the kernel's interface on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const SILENCE_SECONDS: u32 = 30;
const STREAMS: [u32; 2] = [1, 1_000];
const CALLS: u32 = 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    // Cargo passes `--bench`; a name selects one table.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    if is_wanted("streams") {
        streams()?;
    }
    if is_wanted("calls") {
        calls()?;
    }
    Ok(())
}

fn streams() -> Outcome<()> {
    println!("\nstreams of silence, {SILENCE_SECONDS} s, no speech model loaded (server process only)");
    println!(
        "{:>8} {:>12} {:>16} {:>18} {:>12}",
        "streams", "CPU s", "CPU ms/stream s", "streams per core", "memory MiB"
    );
    for count in STREAMS {
        let nowhere = tempfile::tempdir()?;
        let server = Server::start(nowhere.path())?;
        let before = server.cpu_seconds()?;
        let silence = SILENCE_SECONDS.to_string();
        let summary = server.play(&["--calls", &count.to_string(), "--silence", &silence, "--blind"])?;
        let used = server.cpu_seconds()? - before;
        let per_stream = used / f64::from(count * SILENCE_SECONDS);
        println!(
            "{count:>8} {used:>12.2} {:>16.3} {:>18.0} {:>12}   {} frames late at the sender",
            per_stream * 1_000.0,
            1.0 / per_stream,
            server.memory_mib()?,
            summary["frames_late"],
        );
    }
    Ok(())
}

fn calls() -> Outcome<()> {
    let models = models_dir();
    if !fs::read_dir(&models).is_ok_and(|mut entries| entries.next().is_some()) {
        println!(
            "\n{CALLS} calls at once: skipped, no speech model in {}",
            models.display()
        );
        return Ok(());
    }
    println!(
        "\n{CALLS} calls at once in real time, both sides heard, {} cores",
        thread::available_parallelism()?
    );
    let server = Server::start(&models)?;
    let before = server.cpu_seconds()?;
    let began = Instant::now();
    let summary = server.play(&["--calls", &CALLS.to_string(), "--rotate", "--settle", "30"])?;
    let elapsed = began.elapsed().as_secs_f64();
    println!(
        "server CPU                 {:.1} s in {elapsed:.0} s",
        server.cpu_seconds()? - before
    );
    println!("memory                     {} MiB", server.memory_mib()?);
    for key in [
        "utterances_customer",
        "utterances_agent",
        "partials",
        "shed",
        "end_of_speech_to_final_ms",
    ] {
        println!("{key:26} {}", summary[key]);
    }
    println!(
        "alerts                     {}",
        summary["alerts"].as_array().map_or(0, Vec::len)
    );
    println!(
        "frames late at the sender  {} of {}, worst {} ms",
        summary["frames_late"], summary["frames"], summary["frame_worst_ms"]
    );
    println!("\nwhat the server says of itself:");
    for line in server.metrics()?.lines().filter(|line| is_about_load(line)) {
        println!("  {line}");
    }
    Ok(())
}

/// Whether a line of /metrics tells how the server kept up.
fn is_about_load(line: &str) -> bool {
    let names = [
        "frames_late",
        "frame_wait",
        "frame_lateness",
        "frames_dropped",
        "asr_late",
        "asr_shed",
        "asr_decoded",
        "asr_joined",
    ];
    !line.starts_with('#') && !line.contains("_bucket") && names.iter().any(|name| line.contains(name))
}

fn models_dir() -> PathBuf {
    let cache = || {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        std::env::var_os("PATCHCORD_CACHE")
            .map_or_else(|| home.join(".cache/patchcord"), PathBuf::from)
            .join("models")
    };
    std::env::var_os("PATCHCORD_ASR__MODELS_DIR").map_or_else(cache, PathBuf::from)
}

/// A `patchcord dev` server of this build. Ends when dropped.
struct Server {
    child: Child,
    ready: Value,
    _data: tempfile::TempDir,
}

impl Server {
    fn start(models: &Path) -> Outcome<Self> {
        let data = tempfile::tempdir()?;
        let mut child = Command::new(PROGRAM)
            .arg("dev")
            .env("PATCHCORD_READY_LINE", "1")
            .env("PATCHCORD_LOG", "error")
            .env("PATCHCORD_SERVER__BIND", "127.0.0.1:0")
            .env(
                "PATCHCORD_STORE__URL",
                format!("sqlite:{}", data.path().join("patchcord.db").display()),
            )
            .env("PATCHCORD_ASR__MODELS_DIR", models)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("stdout is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = loop {
            let line = lines.next().ok_or("the server ended before it was ready")??;
            if let Some(json) = line.strip_prefix("PATCHCORD_READY ") {
                break serde_json::from_str(json)?;
            }
        };
        // Whatever it prints later must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            child,
            ready,
            _data: data,
        })
    }

    /// Plays calls and returns the summary.
    fn play(&self, arguments: &[&str]) -> Outcome<Value> {
        let output = Command::new(PROGRAM)
            .args([
                "simulate",
                "--json",
                "--server",
                self.text("url"),
                "--token",
                self.text("access_token"),
            ])
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()?;
        let stdout = String::from_utf8(output.stdout)?;
        let mut lines = stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .rfind(|line| line["type"] == "simulate.summary")
            .ok_or_else(|| "the simulation failed".into())
    }

    fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap_or_default()
    }

    fn metrics(&self) -> Outcome<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Chosen once for the process; a second choice is refused and changes nothing.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        let url = format!("{}/metrics", self.text("url"));
        Ok(runtime.block_on(async {
            client
                .get(url)
                .bearer_auth(self.text("access_token"))
                .send()
                .await?
                .text()
                .await
        })?)
    }

    /// User and system time of the process so far.
    fn cpu_seconds(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold blanks: count fields after its closing parenthesis.
        let after_name = stat
            .rsplit_once(')')
            .ok_or("an unknown form of /proc/PID/stat")?
            .1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: f64 = fields.get(11).ok_or("no user time")?.parse::<f64>()?
            + fields.get(12).ok_or("no system time")?.parse::<f64>()?;
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Resident memory.
    fn memory_mib(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no value")?.parse::<u64>()? / 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left of it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! A mail server: takes letters in the clear and keeps them. Whoever is called `gone` is unknown to it.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

type Letters = Arc<Mutex<Vec<String>>>;

/// A running mail server. Dropping it closes the port.
pub struct MailServer {
    port: u16,
    letters: Letters,
    task: JoinHandle<()>,
}

impl MailServer {
    /// Opens a mail server.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the system has a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let letters = Letters::default();
        let kept = letters.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever hangs up has said what they had to say.
                tokio::spawn(talk(stream, kept.clone()));
            }
        });
        Self { port, letters, task }
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The letters that it took, in order.
    #[must_use]
    pub fn letters(&self) -> Vec<String> {
        self.letters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(stream: TcpStream, letters: Letters) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 mail.example\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let word = line.split([' ', ':']).next().unwrap_or_default();
        let answer: &[u8] = match word.to_ascii_uppercase().as_str() {
            "RCPT" if line.contains("<gone@") => b"550 no such person\r\n",
            "DATA" => {
                writing.write_all(b"354 go on\r\n").await?;
                let mut letter = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    letter += &line;
                    letter.push('\n');
                }
                letters
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(letter);
                b"250 taken\r\n"
            }
            _ => b"250 mail.example\r\n",
        };
        writing.write_all(answer).await?;
    }
    Ok(())
}

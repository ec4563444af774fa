//! Runs the embedded registry: `cargo run -p windlass-registry --example serve -- DIR [ADDRESS]`.

#![expect(clippy::print_stdout, reason = "an example talks to who runs it")]

use std::error::Error;

use tokio::net::TcpListener;
use windlass_registry::{Config, Registry};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().ok_or("which folder?")?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:5000".to_owned());

    let registry = Registry::open(Config::new(data)).await?;
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/v2/", listener.local_addr()?);
    // Until the process is told to stop; whatever that cuts off goes on where it was.
    registry.serve(listener, std::future::pending()).await?;
    Ok(())
}

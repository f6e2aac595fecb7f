//! TLS with a certificate of our own authority, and nothing less.

use nms_kit::{
    net::{gate::Gate, tcp},
    pki, tls,
};
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn files(folder: &std::path::Path, names: &[&str]) -> pki::Files {
    let files = pki::Files::within(folder);
    let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
    pki::init(&files, &names, nms_kit::clock::unix_ms()).unwrap();
    files
}

async fn shake(server: &pki::Files, ca: &std::path::Path, name: &str) -> Result<String, String> {
    let mut listener = tcp::Listener::bind("127.0.0.1:0".parse().unwrap(), Gate::default()).await.unwrap();
    let address = listener.address().unwrap().to_string();
    let acceptor = tls::acceptor(&server.certificate, &server.key).unwrap();
    let connector = tls::connector(ca).unwrap();
    let serve = async {
        let (stream, _, _place) = listener.accept().await;
        let mut stream = acceptor.accept(stream).await.map_err(|error| error.to_string())?;
        stream.write_all(b"hello").await.map_err(|error| error.to_string())?;
        stream.close().await.map_err(|error| error.to_string())
    };
    let ask = async {
        let stream = tcp::dial(&address).await.unwrap();
        let name = tls::server_name(name).unwrap();
        let mut stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
        Ok(text)
    };
    smol::future::zip(serve, ask).await.1
}

#[test]
fn only_the_named_authority_and_name_are_trusted() {
    smol::block_on(async {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let server = files(ours.path(), &["localhost", "127.0.0.1"]);
        let other = files(theirs.path(), &["localhost"]);
        assert_eq!(shake(&server, &server.ca, "127.0.0.1").await, Ok("hello".into()));
        assert!(shake(&server, &other.ca, "localhost").await.unwrap_err().contains("certificate"));
        assert!(shake(&server, &server.ca, "example.org").await.unwrap_err().contains("not valid for name"));
    });
}

#[test]
fn keys_are_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let made = files(folder.path(), &["localhost"]);
    for key in [&made.key, &made.ca_key] {
        assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = pki::init(&made, &["localhost".into()], 0).unwrap_err().to_string();
    assert!(again.contains("left alone"), "{again}");
}

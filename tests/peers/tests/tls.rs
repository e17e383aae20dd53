//! TLS by rustls, whose two sides are greenlets of one thread, over `greenlet::net::TcpStream`.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use greenlet::net::{TcpListener, TcpStream};
use greenlet::spawn;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};

const AMOUNT: usize = 8 << 20;
const NAME: &str = "localhost";

/// The two configurations of a server with a certificate of its own, and of one who trusts it.
fn configurations(
    versions: &[&'static SupportedProtocolVersion],
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let certified = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = certified.cert.into();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_protocol_versions(versions)
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key);
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_protocol_versions(versions)
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server.unwrap().into(), client.into())
}

/// Something that differs from place to place.
fn text(seed: usize) -> Vec<u8> {
    (0..AMOUNT)
        .map(|at| (at * 31 + at / 251 + seed) as u8)
        .collect()
}

type Server = StreamOwned<ServerConnection, TcpStream>;
type Client = StreamOwned<ClientConnection, TcpStream>;

/// Both ends of a connection; the handshake comes with the first bytes.
fn ends(versions: &[&'static SupportedProtocolVersion]) -> (Server, Client) {
    let (server, client) = configurations(versions);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    (
        StreamOwned::new(ServerConnection::new(server).unwrap(), near),
        StreamOwned::new(ClientConnection::new(client, name).unwrap(), far),
    )
}

/// Says that nothing more comes, and hears the same of the other side.
macro_rules! part {
    ($stream:ident) => {
        $stream.conn.send_close_notify();
        $stream.flush().unwrap();
        while $stream.conn.wants_write() {
            $stream.conn.write_tls(&mut $stream.sock).unwrap();
        }
        assert_eq!(
            $stream.read(&mut [0]).unwrap(),
            0,
            "the end was not announced"
        );
    };
}

/// So much is sent before it is expected back: both sides write, and no buffer holds it all.
fn transfers(versions: &[&'static SupportedProtocolVersion]) {
    let (mut server, mut client) = ends(versions);
    let serving = spawn(move || {
        let mut received = vec![0; AMOUNT];
        server.read_exact(&mut received).unwrap();
        assert!(received == text(1));
        server.write_all(&text(2)).unwrap();
        part!(server);
    });
    client.write_all(&text(1)).unwrap();
    let mut received = vec![0; AMOUNT];
    client.read_exact(&mut received).unwrap();
    assert!(received == text(2));
    part!(client);
    serving.join().unwrap();
    drop(client);
    assert_eq!(greenlet::hub_stats(), Default::default());
}

#[test]
fn eight_mebibytes_there_and_back_over_version_1_3() {
    transfers(&[&rustls::version::TLS13]);
}

#[test]
fn eight_mebibytes_there_and_back_over_version_1_2() {
    transfers(&[&rustls::version::TLS12]);
}

/// Record by record, each side waits for the other.
#[test]
fn a_conversation_of_small_records() {
    let (mut server, mut client) = ends(rustls::ALL_VERSIONS);
    let serving = spawn(move || {
        let mut word = [0; 5];
        for _ in 0..1000 {
            server.read_exact(&mut word).unwrap();
            server.write_all(&word).unwrap();
        }
    });
    for number in 0..1000 {
        let word = format!("{number:05}");
        client.write_all(word.as_bytes()).unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, word.as_bytes());
    }
    serving.join().unwrap();
    // It went without a word.
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_server_that_is_not_trusted_is_refused_and_others_run_on() {
    let (mut server, _) = ends(rustls::ALL_VERSIONS);
    let (_, mut client) = ends(rustls::ALL_VERSIONS);
    let (near, far) = greenlet::os::unix::net::UnixStream::pair().unwrap();
    let (mut near, mut far) = (near, far);
    let serving = spawn(move || {
        let outcome = server.conn.complete_io(&mut near);
        (outcome.is_err(), near)
    });
    let error = client.conn.complete_io(&mut far).unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert!(serving.join().unwrap().0);
}

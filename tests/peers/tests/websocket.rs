//! WebSockets by tungstenite, which knows blocking streams: server and client are greenlets of one thread, or
//! the client is one of std's threads.

use std::io::{Read, Write};

use greenlet::net::{TcpListener, TcpStream};
use greenlet::{JoinHandle, spawn, yield_now};
use tungstenite::protocol::WebSocket;
use tungstenite::{Bytes, Error, Message, accept, client};

/// Serves `guests` connections, each in a greenlet: what comes goes back, until it is closed.
fn serve(listener: TcpListener, guests: usize) -> JoinHandle<()> {
    spawn(move || {
        let guests: Vec<_> = listener
            .incoming()
            .take(guests)
            .map(|stream| spawn(move || echo(stream.unwrap())))
            .collect();
        guests.into_iter().for_each(|guest| guest.join().unwrap());
    })
}

fn echo(stream: TcpStream) {
    let mut socket = accept(stream).unwrap();
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Text, much at once and a ping, and a farewell that both sides keep to.
fn talk<S: Read + Write>(mut socket: WebSocket<S>) {
    for number in 0..200 {
        let text = format!("number {number}, äöü");
        socket.send(Message::text(text.clone())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(text));
    }
    let much: Vec<u8> = (0..1 << 20).map(|at: u32| (at / 3) as u8).collect();
    socket.send(Message::binary(much.clone())).unwrap();
    assert!(socket.read().unwrap() == Message::binary(much));
    let word = Bytes::from_static(b"are you there?");
    socket.send(Message::Ping(word.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(word));
    socket.close(None).unwrap();
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn server_and_clients_in_one_thread() {
    let (listener, address) = listener();
    let server = serve(listener, 5);
    let clients: Vec<_> = (0..5)
        .map(|_| {
            spawn(move || {
                let stream = TcpStream::connect(address).unwrap();
                let (socket, _) = client(format!("ws://{address}/"), stream).unwrap();
                talk(socket);
            })
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    server.join().unwrap();
    assert_eq!(greenlet::hub_stats(), Default::default());
}

#[test]
fn clients_of_std_in_threads() {
    let (listener, address) = listener();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(move || {
                let stream = std::net::TcpStream::connect(address).unwrap();
                let (socket, _) = client(format!("ws://{address}/"), stream).unwrap();
                talk(socket);
            })
        })
        .collect();
    serve(listener, 3).join().unwrap();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
}

/// A client in a thread that knows nothing of WebSockets, and bytes that come one by one.
#[test]
fn a_client_of_std_that_is_slow() {
    let (listener, address) = listener();
    let slow = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        for byte in request.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut answer = vec![];
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        // "Hi", as text, masked with zeros; then the end.
        stream
            .write_all(&[0x81, 0x82, 0, 0, 0, 0, b'H', b'i'])
            .unwrap();
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(echo, [0x81, 2, b'H', b'i']);
        stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
        let mut rest = vec![];
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [0x88, 0]);
    });
    let server = serve(listener, 1);
    while !server.is_finished() {
        yield_now();
        greenlet::sleep(std::time::Duration::from_millis(1));
    }
    server.join().unwrap();
    slow.join().unwrap();
}

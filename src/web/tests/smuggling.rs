//! Request smuggling: requests whose end is ambiguous.
//!
//! A proxy in front of us may see one request where we would see two, or the other way round. So each vector must get a
//! single response, and then the connection must end.

use super::*;

const SECOND: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn smuggling_vectors_get_one_answer_at_most() {
    // Headers of the first request, and the bytes after its head.
    let framed = [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 0\r\n", "hello"),
        ("Content-Length: 0\r\nContent-Length: 5\r\n", ""),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ("Content-Length: 5, 0\r\n", "hello"),
        ("Content-Length: 5, 5\r\n", "hello"),
        ("Content-Length: +5\r\n", "hello"),
        ("Content-Length: -1\r\n", ""),
        ("Content-Length: 0x5\r\n", "hello"),
        ("Content-Length: 5 5\r\n", "hello"),
        ("Content-Length: 5.0\r\n", "hello"),
        ("Content-Length:\r\n", ""),
        ("Content-Length: 18446744073709551616\r\n", ""),
        ("Content-Length: 18446744073709551615\r\n", ""),
        ("Content-Length : 5\r\n", "hello"),
        ("Content-Length\t: 5\r\n", "hello"),
        ("Content-Length: \u{b}5\r\n", "hello"),
        ("Content-Length: 5\0\r\n", "hello"),
        ("X: y\r\n Content-Length: 5\r\n", "hello"),
        ("X: y\r\n\tTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("X: y\rContent-Length: 5\r\n", "hello"),
        ("X: y\nContent-Length: 5\r\n", "hello"),
        (" Content-Length: 5\r\n", "hello"),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: identity\r\n", ""),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n"),
        ("Transfer-Encoding: chunked\r\n", "fffffffffffffffffffff0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "-1\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0;a=\"\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0\n\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhelloX0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0\r\nHost: b\r\n\r\n"),
    ];
    let mut vectors: Vec<String> = framed
        .iter()
        .map(|(headers, body)| format!("GET /-/healthy HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}{SECOND}"))
        .collect();
    vectors.extend([
        format!("GET /-/healthy HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SECOND}"),
        format!("GET /-/healthy HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{SECOND}"),
        format!("GET /-/healthy HTTP/1.1\r\nHost : a\r\n\r\n{SECOND}"),
        format!("GET /-/healthy HTTP/1.1\r\n\r\n{SECOND}"),
        format!("GET /-/healthy\tHTTP/1.1\r\nHost: a\r\n\r\n{SECOND}"),
        format!("GET /-/healthy HTTP/1.10\r\nHost: a\r\n\r\n{SECOND}"),
        format!("GET /-/healthy HTTP/1.1\rHost: a\r\n\r\n{SECOND}"),
        format!("GET /-/healthy\0 HTTP/1.1\r\nHost: a\r\n\r\n{SECOND}"),
        format!("HEAD /-/healthy HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello{SECOND}"),
        format!("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello{SECOND}"),
    ]);
    let server = Server::start(Plan::default()).await;
    for vector in vectors {
        let mut client = server.connect().await;
        client.send(&vector).await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert_eq!(all.matches("HTTP/1.").count(), 1, "{vector:?} got\n{all}");
        assert!(!all.contains(" 404 "), "{vector:?} got\n{all}");
        let status = &all[9..12];
        // 431 is what hyper calls a length beyond its numbers.
        assert!(["200", "204", "400", "405", "413", "431"].contains(&status), "{vector:?} got\n{all}");
    }
}

#[tokio::test]
async fn a_request_with_bare_line_feeds_is_one_request() {
    let server = Server::start(Plan::default()).await;
    let mut client = server.connect().await;
    client.send("GET /-/healthy HTTP/1.1\nHost: a\nConnection: close\n\n").await;
    let all = String::from_utf8(client.rest().await).unwrap();
    assert_eq!(all.matches("HTTP/1.").count(), 1, "{all}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::start(Plan::default()).await;
    let mut client = server.connect().await;
    client.send(format!("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n{SECOND}")).await;
    assert_eq!((client.answer().await.status, client.answer().await.status), (200, 404));
}

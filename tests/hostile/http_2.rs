//! Cognigy installations that speak HTTP/2, and break it.

use crate::{
    HASTE, PATIENCE,
    installations::{Badly, Ends, InTime, MOST, assert_ends, malformed, read, session, unreachable},
    memory::peak,
    namespace::isolated,
    server::{Act, Server, Tls, repeat, say, script},
};

#[test]
fn hostile_frames_of_http_2_end_their_call_in_little_memory() {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, stream]);
        frame.extend(payload);
        frame
    };
    isolated(async move || {
        let settings = say(frame(4, 0, 0, &[]));
        let head = frame(1, 4, 1, &[0x88]); // HEADERS, the end of them, :status 200
        let field = [&[0x40, 1, b'x', 0x7f, 0x81, 0x1f][..], &[b'y'; 4096]].concat();
        let rows: Vec<(&str, Vec<Act>, Ends)> = vec![
            (
                "headers that never end",
                vec![say(frame(1, 0, 1, &[0x88])), repeat(frame(9, 0, 1, &field))],
                Badly(unreachable, ""),
            ),
            (
                "empty continuations",
                vec![say(frame(1, 0, 1, &[0x88])), repeat(frame(9, 0, 1, &[]))],
                Badly(unreachable, ""),
            ),
            (
                "data without end",
                vec![say(&head), repeat(frame(0, 0, 1, &[b'x'; 16_000]))],
                // Whichever is noticed first: the length of the body, or that more came than was asked for.
                Badly(|kind| malformed(kind) || unreachable(kind), ""),
            ),
            ("empty data without end", vec![say(&head), repeat(frame(0, 0, 1, &[]))], Badly(unreachable, "")),
            (
                "a frame larger than agreed",
                vec![say(&head), repeat(frame(0, 0, 1, &[b'x'; 70_000]))],
                Badly(unreachable, ""),
            ),
            ("a promise of more", vec![say(frame(5, 4, 1, &[0, 0, 0, 2, 0x88])), Act::Hold], Badly(unreachable, "")),
            (
                "the end of the connection",
                vec![say(frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11])), Act::Hold],
                Badly(unreachable, ""),
            ),
            ("no answer", vec![Act::Hold], InTime),
            ("garbage", vec![repeat("garbage")], Badly(unreachable, "")),
        ];
        for (what, acts, ends) in rows {
            let tls = Tls { protocols: vec![b"h2".to_vec()], ..Tls::default() };
            let server = Server::tls(tls, &[script([vec![settings.clone(), Act::HearRequest], acts].concat())]).await;
            let session = session(&server, "https", if matches!(ends, InTime) { HASTE } else { PATIENCE }, false);
            let (result, memory) = peak(read(&session)).await;
            assert_ends(what, result, ends);
            assert!(memory < MOST, "{what}: {memory} bytes");
        }
    });
}

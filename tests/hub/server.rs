//! The two listeners and what happens on their connections.

use std::io::{self, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::faults::{Door, Kind};
use super::request::{Body, Request};
use super::response::Response;
use super::routes;
use super::shared::Shared;

/// Accepts connections until the server is stopped, each on a thread of its own.
pub fn listen(door: Door, listener: TcpListener, shared: Arc<Shared>) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            if shared.stopped.load(Ordering::Relaxed) {
                break;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(&shared);
            // A connection ends when the other side closes it, or by a fault.
            thread::spawn(move || serve(door, stream, &shared));
        }
    });
}

/// Answers the requests of one connection, one after another.
fn serve(door: Door, stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(door, &mut reader)? {
        if !answer(&request, &mut reader, &mut writer, shared)? || request.closes() {
            break;
        }
    }
    writer.shutdown(std::net::Shutdown::Both)
}

/// Answers one request; true where the connection is good for another.
fn answer(
    request: &Request,
    reader: &mut BufReader<TcpStream>,
    writer: &mut TcpStream,
    shared: &Shared,
) -> io::Result<bool> {
    if request.raw_path().starts_with("/_") && request.door == Door::Hub {
        let mut body = Body::of(request, reader)?;
        let response = routes::control(shared, request, &mut body)?;
        drain(&mut body)?;
        return response.send(writer, request, None, &mut 0);
    }

    let number = shared.begin(request);
    let mut sent = 0;
    let outcome = respond(number, &mut sent, request, reader, writer, shared);
    shared.end(number, sent);
    outcome
}

/// Answers one request that is recorded as number `number`, and counts the bytes of the body.
fn respond(
    number: usize,
    sent: &mut u64,
    request: &Request,
    reader: &mut BufReader<TcpStream>,
    writer: &mut TcpStream,
    shared: &Shared,
) -> io::Result<bool> {
    let mut body = Body::of(request, reader)?;
    // What changes something does not happen where a rule puts another answer in its place; else
    // the right answer is worked out first, so that the rules can be asked in their order.
    let reading = matches!(request.method.as_str(), "GET" | "HEAD");
    let mut fault = match reading {
        true => None,
        false => shared.fault(request, replaces),
    };
    let mut response = Response::new(200, "");
    if fault.is_none() {
        response = routes::respond(shared, request, &mut body)
            .unwrap_or_else(|error| Response::refusal(500, None, &error.to_string()));
        fault = shared.fault(request, |kind| {
            (reading && replaces(kind)) || response.suffers(kind, &request.method)
        });
    }
    drain(&mut body)?;
    let received = body.received;
    if let Some(fault) = &fault {
        if fault.kind == Kind::Silence {
            // Until the other side gives up.
            drain(reader)?;
            return Ok(false);
        }
        if replaces(&fault.kind) {
            response = routes::instead(shared, request, fault);
        }
        response.spoil(&fault.kind);
    }
    shared.answered(number, response.status, received);
    let kind = fault.as_ref().map(|fault| &fault.kind);
    response.send(writer, request, kind, sent)
}

/// Whether a fault puts another answer in the place of the right one.
fn replaces(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Status(_) | Kind::Answer(_) | Kind::Silence | Kind::Loop
    )
}

/// Reads what is left.
fn drain(source: &mut impl Read) -> io::Result<u64> {
    io::copy(source, &mut io::sink())
}

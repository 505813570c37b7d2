// The network's end of a job: does, over the wire, what the job asks for over a local socket, one
// line of JSON for a request and one for its answer. The job is a coordinator's or a silo's, and
// its first request says which. Files go by their paths.
//
//   request                                          answer
//   {"do": "listen", "options": ...}                 {"port": ...}        a coordinator's first
//   {"do": "next", "wait_s": ...}                    null, or {"silo", "message", "file"}
//   {"do": "answer", "message": ...}                 null                 the request of "next"
//   {"do": "refuse", "error": ...}                   null                 in its place
//   {"do": "order", "silo": ..., "message": ...}     null
//   {"do": "publish", "path": ...}                   blob
//   {"do": "withdraw", "blob": ...}                  null
//   {"do": "silos"}                                  list of {"silo", "silent_s", ...}
//   {"do": "connect", "options": ...}                {"silo": ...}        a silo's first
//   {"do": "join", "message": ...}                   message
//   {"do": "wait", "wait_s": ...}                    null, or a message
//   {"do": "send", "message": ..., "file": ...}      message
//   {"do": "fetch", "blob": ..., "path": ...}        null
//
// An answer is {"result": ...}, or {"error": {"kind", "message", "hint"}}.
#pragma once

#include "protocol/line_socket.h"

namespace moesaic::sites {

/// Until the job closes its end, or is killed: then a call that is under way ends, too.
/// Error(kCommunication) for a line that is none of a job.
void serve_job(LineSocket& job);

}  // namespace moesaic::sites

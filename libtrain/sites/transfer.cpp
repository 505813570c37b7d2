#include "sites/transfer.h"

#include <algorithm>
#include <fstream>

#include "sites/part_file.h"
#include "sites/stall_guard.h"
#include "sites/wire.h"

namespace moesaic::sites {
namespace {

grpc::Status cut_short() { return {grpc::StatusCode::UNAVAILABLE, "the transfer was cut"}; }

// Runs the pieces of a transfer. When they throw, the transfer ends before the error goes on.
template <class Stream, class Pieces>
void run_pieces(grpc::ClientContext& context, Stream& stream, const Pieces& pieces) {
  try {
    pieces();
  } catch (...) {
    context.TryCancel();
    stream.Finish();
    throw;
  }
}

grpc::Status upload_from(Connection& connection, std::uint64_t offset,
                         const wire::UploadStart& start, const std::string& file, double stall_s,
                         grpc::ClientContext& context) {
  const std::uint64_t bytes = start.blob().bytes();
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  StallGuard guard(stall_s, [&] { context.TryCancel(); });
  wire::UploadState state;
  const auto writer = connection.stub().Upload(&context, &state);
  wire::Chunk chunk;
  *chunk.mutable_start() = start;
  run_pieces(context, *writer, [&] {
    while (offset < bytes) {
      std::string& piece = *chunk.mutable_data();
      piece.resize(std::min<std::uint64_t>(kChunkBytes, bytes - offset));
      MOESAIC_CHECK(in.read(piece.data(), static_cast<std::streamsize>(piece.size())),
                    ErrorKind::kData, "cannot read {} at byte {}", file, offset);
      chunk.set_offset(offset);
      if (!writer->Write(chunk)) return;
      offset += piece.size();
      chunk.clear_start();
      guard.moved();
      connection.alive();
    }
    writer->WritesDone();
  });
  const grpc::Status status = writer->Finish();
  return status.ok() && state.bytes() != bytes ? cut_short() : status;
}

grpc::Status fetch_into(Connection& connection, PartFile& part, const wire::FetchStart& start,
                        double stall_s, grpc::ClientContext& context) {
  StallGuard guard(stall_s, [&] { context.TryCancel(); });
  const auto reader = connection.stub().Fetch(&context, start);
  wire::Chunk chunk;
  run_pieces(context, *reader, [&] {
    while (reader->Read(&chunk)) {
      part.write(chunk.offset(), chunk.data());
      connection.heard();
      connection.alive();
      guard.moved();
    }
  });
  const grpc::Status status = reader->Finish();
  return status.ok() && !part.is_whole() ? cut_short() : status;
}

}  // namespace

void upload(Calls& calls, const Blob& blob, const std::string& file, double stall_s) {
  Connection& connection = calls.connection();
  std::uint64_t reached = 0;
  calls.call([&](grpc::ClientContext& context, const wire::Caller& caller) {
    wire::UploadStart start;
    *start.mutable_caller() = caller;
    *start.mutable_blob() = wire_of(blob);
    grpc::ClientContext asking;
    asking.set_deadline(Connection::after(stall_s));
    wire::UploadState there;
    const grpc::Status asked = connection.stub().Lacks(&asking, start, &there);
    if (!asked.ok()) return asked;
    if (there.bytes() > reached) connection.heard();  // the last try was not in vain
    reached = there.bytes();
    if (reached >= blob.bytes) return grpc::Status();
    return upload_from(connection, reached, start, file, stall_s, context);
  });
}

void fetch(Calls& calls, const Blob& blob, const std::string& path, double stall_s) {
  Connection& connection = calls.connection();
  PartFile part(path, blob, [&] { connection.alive(); });
  calls.call([&](grpc::ClientContext& context, const wire::Caller& caller) {
    if (part.is_whole()) return grpc::Status();
    wire::FetchStart start;
    *start.mutable_caller() = caller;
    *start.mutable_blob() = wire_of(blob);
    start.set_offset(part.bytes());
    return fetch_into(connection, part, start, stall_s, context);
  });
  part.finish();
}

}  // namespace moesaic::sites

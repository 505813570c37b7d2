#include "comm/mpi/mpi_check.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::size_t kTextBytes = 232;

/// A call as it travels: the two row lists, one entry a rank, follow the record.
struct Record {
  std::array<char, kTextBytes> text;
  std::int64_t count;
  std::int64_t rows;  // entries of each row list
};

std::string describe(const CollectiveCall& call) {
  return format("{} '{}' ({}, {} values)", call.kind, call.label, call.detail, call.count);
}

/// Kind, detail and label, each ended by a zero byte; a long label is cut.
std::array<char, kTextBytes> pack_text(const CollectiveCall& call) {
  std::array<char, kTextBytes> text{};
  std::string joined = call.kind + '\0' + call.detail + '\0' + call.label;
  std::memcpy(text.data(), joined.data(), std::min(joined.size(), kTextBytes - 1));
  return text;
}

CollectiveCall unpack(const std::byte* bytes, std::size_t size) {
  Record record;
  std::memcpy(&record, bytes, sizeof(record));
  CollectiveCall call;
  call.kind = record.text.data();
  call.detail = record.text.data() + call.kind.size() + 1;
  call.label = record.text.data() + call.kind.size() + call.detail.size() + 2;
  call.count = record.count;
  const std::size_t list = size * sizeof(std::int64_t);
  if (record.rows > 0) {
    call.send_rows.resize(size);
    call.receive_rows.resize(size);
    std::memcpy(call.send_rows.data(), bytes + sizeof(record), list);
    std::memcpy(call.receive_rows.data(), bytes + sizeof(record) + list, list);
  }
  return call;
}

}  // namespace

CollectiveChecker::CollectiveChecker(MPI_Comm comm, std::string group,
                                     std::shared_ptr<MpiRuntime> runtime)
    : comm_(std::make_shared<MpiComm>(MpiComm::duplicate(comm))),
      group_(std::move(group)),
      runtime_(std::move(runtime)) {
  MPI_Comm_rank(comm_->get(), &rank_);
  MPI_Comm_size(comm_->get(), &size_);
}

std::vector<CollectiveCall> CollectiveChecker::gather(const CollectiveCall& call) {
  const auto ranks = static_cast<std::size_t>(size_);
  const std::size_t list = ranks * sizeof(std::int64_t);
  const std::size_t stride = sizeof(Record) + 2 * list;
  const Record record{pack_text(call), call.count,
                      static_cast<std::int64_t>(call.send_rows.size())};
  const auto bytes = static_cast<std::int64_t>(stride);
  const at::Tensor mine = at::empty({bytes}, at::kByte);
  const at::Tensor all = at::empty({size_, bytes}, at::kByte);
  auto* to = static_cast<std::byte*>(mine.mutable_data_ptr());
  std::memset(to, 0, stride);
  std::memcpy(to, &record, sizeof(record));
  if (!call.send_rows.empty()) {
    std::memcpy(to + sizeof(record), call.send_rows.data(), list);
    std::memcpy(to + sizeof(record) + list, call.receive_rows.data(), list);
  }
  const auto operation =
      std::make_shared<MpiOperation>(MpiOperation{.comm = comm_,
                                                  .group = group_,
                                                  .label = call.label + " (check)",
                                                  .rank = rank_,
                                                  .size = size_});
  operation->tensors = {mine, all};
  const auto count = static_cast<int>(bytes);
  check_mpi(MPI_Iallgather(to, count, MPI_BYTE, all.mutable_data_ptr(), count, MPI_BYTE,
                           comm_->get(), &operation->requests.emplace_back()),
            operation->where());
  runtime_->add(operation);
  const Span span(span_name::kWait, operation->label);
  runtime_->wait(*operation);
  std::vector<CollectiveCall> calls;
  const auto* from = static_cast<const std::byte*>(all.const_data_ptr());
  for (std::size_t i = 0; i < ranks; ++i) calls.push_back(unpack(from + i * stride, ranks));
  return calls;
}

void CollectiveChecker::compare(const CollectiveCall& call) {
  const auto calls = gather(call);
  const auto fail = [&](std::size_t a, std::size_t b, const std::string& left,
                        const std::string& right) {
    throw Error(ErrorKind::kCommunication,
                format("the ranks of group {} do not call the same collective: rank {} calls {}, "
                       "rank {} calls {}",
                       group_, a, left, b, right));
  };
  for (std::size_t i = 1; i < calls.size(); ++i) {
    const std::string first = describe(calls[0]);
    const std::string other = describe(calls[i]);
    if (first != other) fail(0, i, first, other);
  }
  for (std::size_t from = 0; from < calls.size(); ++from) {
    for (std::size_t to = 0; to < calls[from].send_rows.size(); ++to) {
      const std::int64_t sent = calls[from].send_rows[to];
      const std::int64_t expected = calls[to].receive_rows[from];
      if (sent == expected) continue;
      fail(from, to, format("{} and sends it {} rows", describe(calls[from]), sent),
           format("it and expects {} rows", expected));
    }
  }
}

}  // namespace moesaic

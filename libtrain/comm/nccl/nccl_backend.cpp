#include "comm/nccl/nccl_backend.h"

#include <ATen/cuda/CUDAEvent.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

/// Ends when the current stream has been told to wait for the collective; the host does not block.
class NcclWork : public Work::State {
 public:
  NcclWork(at::cuda::CUDAEvent done, std::vector<at::Tensor> tensors)
      : done_(std::move(done)), tensors_(std::move(tensors)) {}
  /// Also when nobody waits: the memory of the tensors is free for the current stream afterwards.
  ~NcclWork() override {
    try {
      NcclWork::wait();
    } catch (const std::exception&) {
      // A broken device: whoever uses it next reports it.
    }
  }

  void wait() override {
    if (tensors_.empty()) return;
    done_.block(c10::cuda::getCurrentCUDAStream());
    tensors_.clear();
  }

 private:
  at::cuda::CUDAEvent done_;
  std::vector<at::Tensor> tensors_;
};

std::string dtype_name(const at::Tensor& tensor) { return c10::toString(tensor.scalar_type()); }

char* bytes_of(const at::Tensor& tensor) { return static_cast<char*>(tensor.mutable_data_ptr()); }

/// What belongs to a rank in a tensor that holds the rows of all; ranks without any are left out.
struct Part {
  int rank = 0;
  char* data = nullptr;
  std::size_t bytes = 0;
};

std::vector<Part> parts_of(const at::Tensor& all, const std::vector<std::int64_t>& rows) {
  std::vector<Part> parts;
  const std::size_t row_bytes =
      all.size(0) == 0 ? 0 : all.nbytes() / static_cast<std::size_t>(all.size(0));
  char* data = bytes_of(all);
  for (std::size_t rank = 0; rank < rows.size(); ++rank) {
    const std::size_t bytes = static_cast<std::size_t>(rows[rank]) * row_bytes;
    if (bytes > 0) parts.push_back({static_cast<int>(rank), data, bytes});
    data += bytes;
  }
  return parts;
}

bool all_equal(const std::vector<std::int64_t>& rows) {
  return std::equal(rows.begin() + 1, rows.end(), rows.begin());
}

std::size_t count_of(const at::Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); }

}  // namespace

NcclBackend::NcclBackend(const Communicator& host, bool check_collectives)
    : host_(host),
      check_collectives_(check_collectives),
      comm_(host),
      stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true)) {}

void NcclBackend::compare(const std::string& what) const {
  const auto all = host_.all_gather(what, "check of " + what);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    MOESAIC_CHECK(all[rank] == all[0], ErrorKind::kCommunication,
                  "the ranks of group {} do not call the same collective: rank 0 calls {}, rank {} "
                  "calls {}",
                  name(), all[0], rank, all[rank]);
  }
}

WorkState NcclBackend::start(std::vector<at::Tensor> tensors, const std::string& what,
                             const Call& call) {
  const std::string where = format("{} of group {} (rank {} of {})", what, name(), rank(), size());
  comm_.check_background(where);
  if (check_collectives_) compare(what);
  at::cuda::CUDAEvent ready;
  ready.record(c10::cuda::getCurrentCUDAStream());
  ready.block(stream_);
  check_nccl(call(comm_.get(), stream_.stream()), where);
  at::cuda::CUDAEvent done;
  done.record(stream_);
  return std::make_unique<NcclWork>(std::move(done), std::move(tensors));
}

WorkState NcclBackend::all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) {
  if (!tensor.is_cuda()) return host_.backend()->all_reduce(std::move(tensor), op, label);
  const ncclDataType_t type = nccl_type(tensor.scalar_type());
  return start({tensor},
               format("all_reduce '{}' ({} {}, op {})", label, tensor.numel(), dtype_name(tensor),
                      static_cast<int>(op)),
               [&](ncclComm_t comm, cudaStream_t stream) {
                 return ncclAllReduce(bytes_of(tensor), bytes_of(tensor), count_of(tensor), type,
                                      nccl_op(op), comm, stream);
               });
}

WorkState NcclBackend::all_gather(const at::Tensor& mine, const std::vector<std::int64_t>& rows,
                                  at::Tensor all, const std::string& label) {
  if (!mine.is_cuda()) return host_.backend()->all_gather(mine, rows, std::move(all), label);
  return start({mine, all},
               format("all_gather '{}' (rows {}, {} {})", label, join(rows, ", "), all.numel(),
                      dtype_name(all)),
               [&](ncclComm_t comm, cudaStream_t stream) {
                 if (all_equal(rows)) {
                   return ncclAllGather(mine.const_data_ptr(), bytes_of(all), mine.nbytes(),
                                        ncclInt8, comm, stream);
                 }
                 ncclGroupStart();
                 for (const Part& part : parts_of(all, rows)) {
                   ncclBroadcast(mine.const_data_ptr(), part.data, part.bytes, ncclInt8, part.rank,
                                 comm, stream);
                 }
                 return ncclGroupEnd();  // reports the errors of the whole group
               });
}

WorkState NcclBackend::reduce_scatter(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                                      at::Tensor mine, const std::string& label) {
  if (!all.is_cuda()) return host_.backend()->reduce_scatter(all, rows, std::move(mine), label);
  const ncclDataType_t type = nccl_type(all.scalar_type());
  return start({all, mine},
               format("reduce_scatter '{}' (rows {}, {} {})", label, join(rows, ", "), all.numel(),
                      dtype_name(all)),
               [&](ncclComm_t comm, cudaStream_t stream) {
                 if (all_equal(rows)) {
                   return ncclReduceScatter(all.const_data_ptr(), bytes_of(mine), count_of(mine),
                                            type, ncclSum, comm, stream);
                 }
                 ncclGroupStart();
                 for (const Part& part : parts_of(all, rows)) {
                   ncclReduce(part.data, bytes_of(mine), part.bytes / all.element_size(), type,
                              ncclSum, part.rank, comm, stream);
                 }
                 return ncclGroupEnd();
               });
}

WorkState NcclBackend::broadcast(at::Tensor tensor, int root, const std::string& label) {
  if (!tensor.is_cuda()) return host_.backend()->broadcast(std::move(tensor), root, label);
  return start({tensor},
               format("broadcast '{}' ({} {}, from rank {})", label, tensor.numel(),
                      dtype_name(tensor), root),
               [&](ncclComm_t comm, cudaStream_t stream) {
                 return ncclBroadcast(bytes_of(tensor), bytes_of(tensor), tensor.nbytes(), ncclInt8,
                                      root, comm, stream);
               });
}

WorkState NcclBackend::all_to_all(const at::Tensor& rows,
                                  const std::vector<std::int64_t>& send_rows, at::Tensor received,
                                  const std::vector<std::int64_t>& receive_rows,
                                  const std::string& label) {
  if (!rows.is_cuda()) {
    return host_.backend()->all_to_all(rows, send_rows, std::move(received), receive_rows, label);
  }
  std::size_t row_bytes = rows.element_size();
  for (const std::int64_t size : rows.sizes().slice(1)) row_bytes *= static_cast<std::size_t>(size);
  return start({rows, received},
               format("all_to_all '{}' (rows of {} bytes, {})", label, row_bytes, dtype_name(rows)),
               [&](ncclComm_t comm, cudaStream_t stream) {
                 const char* send = static_cast<const char*>(rows.const_data_ptr());
                 char* receive = bytes_of(received);
                 ncclGroupStart();
                 for (int peer = 0; peer < size(); ++peer) {
                   const auto i = static_cast<std::size_t>(peer);
                   const std::size_t out = static_cast<std::size_t>(send_rows[i]) * row_bytes;
                   const std::size_t in = static_cast<std::size_t>(receive_rows[i]) * row_bytes;
                   if (out > 0) ncclSend(send, out, ncclInt8, peer, comm, stream);
                   if (in > 0) ncclRecv(receive, in, ncclInt8, peer, comm, stream);
                   send += out;
                   receive += in;
                 }
                 return ncclGroupEnd();  // reports the errors of the whole group
               });
}

void NcclBackend::barrier(const std::string& label) {
  check_cuda(cudaStreamSynchronize(stream_.stream()), format("before barrier '{}'", label));
  host_.barrier(label);
}

std::shared_ptr<CommBackend> NcclBackend::split(int colour, const std::string& name) {
  return std::make_shared<NcclBackend>(host_.split(colour, name), check_collectives_);
}

}  // namespace moesaic

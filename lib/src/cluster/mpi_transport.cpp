#include "renas/mpi_transport.h"

#include <array>
#include <chrono>
#include <cstring>
#include <list>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "cluster/local_transport.h"
#include "cluster/mpi_check.h"
#include "renas/error.h"

namespace renas {

namespace {

constexpr int kTag = 1;
/// Exchanges have tags of their own, from the next one on; MPI promises 32767 of them.
constexpr int kExchangeTags = 32000;
constexpr auto kPatience = std::chrono::milliseconds(100);
constexpr auto kAskGiveUpEvery = std::chrono::milliseconds(1);

/// A message on its way, kept until MPI has taken it.
struct Outgoing {
  std::string text;
  MPI_Request request = MPI_REQUEST_NULL;
};

/// Numbers on their way to one worker and from another. Reused, and where it was given up kept
/// until MPI is done with it.
struct Exchange {
  std::vector<std::byte> out;
  std::vector<std::byte> in;
  std::array<MPI_Request, 2> requests{MPI_REQUEST_NULL, MPI_REQUEST_NULL};

  bool is_done() {
    int done = 0;
    // Here, too, an error is an end.
    return MPI_Testall(2, requests.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS || done != 0;
  }
};

/// On rank 0 the coordinator's thread calls MPI, and its worker's does in exchanges: a mutex lets
/// one in at a time.
class MpiTransport : public Transport {
 public:
  explicit MpiTransport(MPI_Comm communicator) {
    int provided = 0;
    check_mpi(MPI_Query_thread(&provided), "MPI_Query_thread");
    if (provided < MPI_THREAD_SERIALIZED) {
      throw Unsupported(
          "MPI was initialised for one thread only; the coordinator is a thread of rank 0: call "
          "MPI_Init_thread with MPI_THREAD_SERIALIZED");
    }
    check_mpi(MPI_Comm_dup(communicator, &communicator_), "MPI_Comm_dup");
    check_mpi(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(communicator_, &ranks_), "MPI_Comm_size");
  }

  ~MpiTransport() override {
    // What is still on its way is a second "stop", or is for a rank that is gone: nobody waits for
    // it long.
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!forget_sent() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    // MPI reads a message until it is sent, perhaps for as long as the process lives.
    if (!outgoing_.empty()) new (std::nothrow) std::list<Outgoing>(std::move(outgoing_));
    if (!abandoned_.empty()) {
      new (std::nothrow) std::list<std::unique_ptr<Exchange>>(std::move(abandoned_));
    }
    MPI_Comm_free(&communicator_);
  }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }

  void send_to_worker(int rank, const std::string& text) override {
    if (rank == 0) {
      to_own_worker_.push(text);
    } else {
      send(rank, text);
    }
  }

  std::optional<Message> next_from_workers() override {
    if (auto text = to_coordinator_.pop()) return Message{0, std::move(*text)};
    return receive(MPI_ANY_SOURCE);
  }

  void send_to_coordinator(const std::string& text) override {
    if (rank_ == 0) {
      to_coordinator_.push(text);
    } else {
      send(0, text);
    }
  }

  std::optional<std::string> next_from_coordinator() override {
    if (rank_ == 0) return to_own_worker_.pop();
    auto message = receive(0);
    if (!message) return std::nullopt;
    return std::move(message->text);
  }

  bool connects_workers() const override { return true; }

  void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in,
                uint64_t channel, const std::function<bool()>& give_up) override {
    if (!exchange_) exchange_ = std::make_unique<Exchange>();
    try {
      const bool begun = begin_exchange(to, out, from, in.size(),
                                        kTag + 1 + static_cast<int>(channel % kExchangeTags));
      wait_for_exchange(!begun, give_up);
    } catch (...) {
      abandon_exchange();
      throw;
    }
    if (!in.empty()) std::memcpy(in.data(), exchange_->in.data(), in.size());
  }

 private:
  /// Returns false where MPI begins only a part of it, or nothing: a rank is gone.
  bool begin_exchange(int to, std::span<const std::byte> out, int from, std::size_t expected,
                      int tag) {
    exchange_->out.assign(out.begin(), out.end());
    exchange_->in.resize(expected);
    const std::lock_guard lock(mpi_);
    forget_sent();
    auto& [receiving, sending] = exchange_->requests;
    if (expected > 0 && MPI_Irecv(exchange_->in.data(), static_cast<int>(expected), MPI_BYTE, from,
                                  tag, communicator_, &receiving) != MPI_SUCCESS) {
      receiving = MPI_REQUEST_NULL;
      return false;
    }
    if (!out.empty() && MPI_Isend(exchange_->out.data(), static_cast<int>(out.size()), MPI_BYTE, to,
                                  tag, communicator_, &sending) != MPI_SUCCESS) {
      sending = MPI_REQUEST_NULL;
      return false;
    }
    return true;
  }

  /// `failed`: a rank is gone, to be noticed by the coordinator, who will say so.
  void wait_for_exchange(bool failed, const std::function<bool()>& give_up) {
    auto asked = std::chrono::steady_clock::now();
    for (;;) {
      int done = 0;
      if (!failed) {
        const std::lock_guard lock(mpi_);
        failed =
            MPI_Testall(2, exchange_->requests.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS;
      }
      if (!failed && done != 0) return;
      if (const auto now = std::chrono::steady_clock::now(); now - asked >= kAskGiveUpEvery) {
        asked = now;
        if (give_up()) throw ExchangeAbandoned("left an exchange with other ranks");
      }
      std::this_thread::yield();
    }
  }

  void abandon_exchange() {
    const std::lock_guard lock(mpi_);
    if (MPI_Request& receiving = exchange_->requests[0]; receiving != MPI_REQUEST_NULL) {
      MPI_Cancel(&receiving);
    }
    abandoned_.push_back(std::move(exchange_));
    forget_sent();
  }

  /// Drops the messages that MPI has sent. Returns whether none is left.
  bool forget_sent() {
    outgoing_.remove_if([](Outgoing& o) {
      int done = 0;
      // A message to a rank that is gone ends with an error: it is done with, too.
      return MPI_Test(&o.request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done != 0;
    });
    abandoned_.remove_if([](const std::unique_ptr<Exchange>& e) { return e->is_done(); });
    return outgoing_.empty() && abandoned_.empty();
  }

  void send(int rank, const std::string& text) {
    const std::lock_guard lock(mpi_);
    forget_sent();
    Outgoing& message = outgoing_.emplace_back();
    message.text = text;
    check_mpi(MPI_Isend(message.text.data(), static_cast<int>(message.text.size()), MPI_CHAR, rank,
                        kTag, communicator_, &message.request),
              "MPI_Isend");
  }

  std::optional<Message> receive(int source) {
    const std::lock_guard lock(mpi_);
    int there = 0;
    MPI_Status status;
    check_mpi(MPI_Iprobe(source, kTag, communicator_, &there, &status), "MPI_Iprobe");
    if (!there) return std::nullopt;
    int length = 0;
    check_mpi(MPI_Get_count(&status, MPI_CHAR, &length), "MPI_Get_count");
    Message message{status.MPI_SOURCE, std::string(static_cast<std::size_t>(length), '\0')};
    check_mpi(MPI_Recv(message.text.data(), length, MPI_CHAR, status.MPI_SOURCE, kTag,
                       communicator_, MPI_STATUS_IGNORE),
              "MPI_Recv");
    return message;
  }

  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0;
  int ranks_ = 1;
  std::mutex mpi_;
  std::list<Outgoing> outgoing_;
  std::unique_ptr<Exchange> exchange_;
  std::list<std::unique_ptr<Exchange>> abandoned_;
  Mailbox to_own_worker_;
  Mailbox to_coordinator_;
};

}  // namespace

std::unique_ptr<Transport> make_mpi_transport(MPI_Comm communicator) {
  return std::make_unique<MpiTransport>(communicator);
}

}  // namespace renas

#include "cluster/local_transport.h"

namespace renas {

void Mailbox::push(std::string text) {
  const std::lock_guard lock(mutex_);
  messages_.push_back(std::move(text));
}

std::optional<std::string> Mailbox::pop() {
  const std::lock_guard lock(mutex_);
  if (messages_.empty()) return std::nullopt;
  std::string text = std::move(messages_.front());
  messages_.pop_front();
  return text;
}

void Transport::exchange(int, std::span<const std::byte>, int, std::span<std::byte>, uint64_t,
                         const std::function<bool()>&) {
  throw Unsupported("this transport does not connect workers with each other");
}

namespace {

class LocalTransport : public Transport {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  void send_to_worker(int, const std::string& text) override { to_worker_.push(text); }
  std::optional<Message> next_from_workers() override {
    auto text = to_coordinator_.pop();
    if (!text) return std::nullopt;
    return Message{0, std::move(*text)};
  }
  void send_to_coordinator(const std::string& text) override { to_coordinator_.push(text); }
  std::optional<std::string> next_from_coordinator() override { return to_worker_.pop(); }

 private:
  Mailbox to_worker_;
  Mailbox to_coordinator_;
};

}  // namespace

std::unique_ptr<Transport> make_local_transport() { return std::make_unique<LocalTransport>(); }

}  // namespace renas

// How ranks agree on who sums their gradients.
#include "train/linked_ranks.h"

#include <boost/test/unit_test.hpp>
#include <mutex>
#include <string>
#include <vector>

#include "renas/error.h"
#include "support/thread_checks.h"
#include "support/thread_communicator.h"

using namespace renas;
using renas::test::on_ranks;

namespace {

/// Offers what a test says, and links, or fails to.
class FakeBackend final : public Backend {
 public:
  std::string name() const override { return "fake"; }
  Precision precision(Precision wanted) const override { return wanted; }
  std::unique_ptr<Program> compile(const Graph&, const ProgramOptions&) override { return nullptr; }
  MemoryEstimate estimate(const Graph&, const ProgramOptions&) const override { return {}; }
  DeviceLinkOffer device_link_offer() override { return offer; }
  std::string make_link_id() override {
    if (!id_failure.empty()) throw Error(id_failure);
    return std::string("id\0with\xff", 8);
  }
  std::unique_ptr<DeviceLink> link_devices(const std::string& id, int, int,
                                           std::function<void()>) override {
    linked_with = id;
    if (!failure.empty()) throw Error(failure);
    struct Link final : DeviceLink {
      explicit Link(int& open) : open_(++open) {}
      ~Link() override { --open_; }
      void sum(float*, std::size_t, void*) override {}
      void wait() override {}
      void close() override {}
      int& open_;
    };
    return std::make_unique<Link>(open);
  }

  DeviceLinkOffer offer;
  std::string id_failure;
  std::string failure;
  std::string linked_with;
  int open = 0;
};

const DeviceLinkOffer kOffers[] = {{"GPU-a", "here 1", "NCCL 2.28.9", ""},
                                   {"GPU-b", "here 2", "NCCL 2.28.9", ""},
                                   {"GPU-c", "there 1", "NCCL 2.28.9", ""}};

/// Links three ranks whose backends `change` has changed. Returns what all of them say, and expects
/// that either all have a link or none.
std::string how_after(const std::function<void(int rank, FakeBackend&)>& change) {
  std::vector<std::string> how(3);
  std::vector<int> on_device(3);
  on_ranks(3, [&](Communicator& ranks) {
    const auto rank = static_cast<std::size_t>(ranks.rank());
    FakeBackend backend;
    backend.offer = kOffers[rank];
    change(ranks.rank(), backend);
    {
      LinkedRanks linked(&ranks, backend);
      how[rank] = linked.how();
      on_device[rank] = linked.communicator()->sum_on_device(nullptr, 0, nullptr) ? 1 : 0;
      BOOST_TEST_IN_THREAD(backend.open == on_device[rank]);
      if (on_device[rank] != 0) {
        BOOST_TEST_IN_THREAD(backend.linked_with == std::string("id\0with\xff", 8));
      }
    }
    BOOST_TEST_IN_THREAD(backend.open == 0);
  });
  BOOST_TEST((how[0] == how[1] && how[0] == how[2]));
  BOOST_TEST((on_device[0] == on_device[1] && on_device[0] == on_device[2]));
  BOOST_TEST((on_device[0] == 1) == (how[0].find("are summed by") != std::string::npos));
  return how[0];
}

const std::string kHosts = "gradients are summed through the hosts, not among GPUs: ";

}  // namespace

BOOST_AUTO_TEST_SUITE(linked_ranks)

BOOST_AUTO_TEST_CASE(all_ranks_are_linked_or_none_and_all_know_why) {
  BOOST_TEST(how_after([](int, FakeBackend&) {}) ==
             "gradients are summed by NCCL 2.28.9 among 3 GPUs");
  BOOST_TEST(how_after([](int rank, FakeBackend& b) {
               if (rank == 1) b.offer.lacks = "NCCL is not found";
             }) == kHosts + "on rank 1 NCCL is not found");
  BOOST_TEST(how_after([](int rank, FakeBackend& b) {
               if (rank == 2) b.offer = {};
             }) == kHosts + "rank 2 computes without a GPU");
  BOOST_TEST(how_after([](int rank, FakeBackend& b) {
               if (rank == 2) b.offer.place = "here 2";
             }) == kHosts + "ranks 1 and 2 share a GPU (GPU-c), for which NCCL 2.28.9 has no way");
  BOOST_TEST(how_after([](int rank, FakeBackend& b) {
               if (rank == 1) b.offer.library = "NCCL 2.19.3";
             }) == kHosts + "rank 0 has NCCL 2.28.9, but rank 1 NCCL 2.19.3");
  BOOST_TEST(how_after([](int rank, FakeBackend& b) {
               if (rank == 0) b.id_failure = "no network";
             }) == kHosts + "on rank 0 no network");
  BOOST_TEST(how_after([](int rank, FakeBackend& b) {
               if (rank == 2) b.failure = "no memory";
             }) == kHosts + "on rank 2 no memory");
  BOOST_TEST(how_after([](int, FakeBackend& b) { b.offer = {}; }) == "");
}

BOOST_AUTO_TEST_CASE(one_rank_alone_has_nothing_to_link) {
  FakeBackend backend;
  backend.failure = "is not asked";
  LinkedRanks alone(nullptr, backend);
  BOOST_TEST(alone.communicator() == nullptr);
  BOOST_TEST(alone.how() == "");
  alone.close();
}

BOOST_AUTO_TEST_CASE(texts_are_gathered_by_rank_whatever_they_hold) {
  on_ranks(3, [](Communicator& ranks) {
    const std::vector<std::string> texts =
        gather(ranks, std::string(static_cast<std::size_t>(2 * ranks.rank()), '\xfe'));
    BOOST_TEST_IN_THREAD(texts == std::vector<std::string>{"", "\xfe\xfe", "\xfe\xfe\xfe\xfe"});
  });
}

BOOST_AUTO_TEST_SUITE_END()

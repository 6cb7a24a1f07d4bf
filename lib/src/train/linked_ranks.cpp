#include "train/linked_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "renas/error.h"

namespace renas {

std::vector<std::string> gather(Communicator& ranks, const std::string& text) {
  const std::vector<double> sizes = gather(&ranks, static_cast<double>(text.size()));
  const auto longest = static_cast<std::size_t>(*std::max_element(sizes.begin(), sizes.end()));
  // A number for each character: every rank fills its own part of the sum.
  std::vector<double> characters(sizes.size() * longest);
  const std::size_t own = static_cast<std::size_t>(ranks.rank()) * longest;
  for (std::size_t i = 0; i < text.size(); ++i) {
    characters[own + i] = static_cast<unsigned char>(text[i]);
  }
  ranks.sum(std::span<double>(characters));
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
    std::string& of_rank = texts.emplace_back();
    for (std::size_t i = 0; i < static_cast<std::size_t>(sizes[rank]); ++i) {
      of_rank += static_cast<char>(static_cast<int>(characters[rank * longest + i]));
    }
  }
  return texts;
}

std::string why_not_linked(const std::vector<DeviceLinkOffer>& offers) {
  for (std::size_t rank = 0; rank < offers.size(); ++rank) {
    const DeviceLinkOffer& offer = offers[rank];
    if (offer.device.empty()) return fmt::format("rank {} computes without a GPU", rank);
    if (!offer.lacks.empty()) return fmt::format("on rank {} {}", rank, offer.lacks);
    if (offer.library != offers[0].library) {
      return fmt::format("rank 0 has {}, but rank {} {}", offers[0].library, rank, offer.library);
    }
    for (std::size_t other = 0; other < rank; ++other) {
      if (offers[other].place != offer.place) continue;
      return fmt::format("ranks {} and {} share a GPU ({}), for which {} has no way", other, rank,
                         offer.device, offer.library);
    }
  }
  return "";
}

bool LinkedRanks::Linked::sum_on_device(float* values, std::size_t size, void* stream) {
  if (!link) return false;
  link->sum(values, size, stream);
  return true;
}

void LinkedRanks::Linked::wait_for_device() {
  if (link) link->wait();
}

LinkedRanks::LinkedRanks(Communicator* ranks, Backend& backend) {
  if (ranks == nullptr) return;
  linked_.emplace(*ranks);
  if (ranks->ranks() == 1) return;
  const DeviceLinkOffer own = backend.device_link_offer();
  const std::array texts{gather(*ranks, own.device), gather(*ranks, own.place),
                         gather(*ranks, own.library), gather(*ranks, own.lacks)};
  std::vector<DeviceLinkOffer> offers;
  for (std::size_t rank = 0; rank < texts[0].size(); ++rank) {
    offers.push_back({texts[0][rank], texts[1][rank], texts[2][rank], texts[3][rank]});
  }
  if (std::all_of(offers.begin(), offers.end(), [](auto& o) { return o.device.empty(); })) return;
  std::string why_not = why_not_linked(offers);
  if (why_not.empty()) why_not = link(backend);
  how_ = why_not.empty()
             ? fmt::format("gradients are summed by {} among {} GPUs", own.library, ranks->ranks())
             : fmt::format("gradients are summed through the hosts, not among GPUs: {}", why_not);
}

std::string LinkedRanks::link(Backend& backend) {
  Communicator& ranks = *linked_;
  std::string failure;
  /// What fails on one rank alone must not keep it from the collective calls that follow.
  const auto attempt = [&](const auto& body) {
    try {
      body();
    } catch (const DeviceLost&) {
      throw;
    } catch (const Error& e) {
      if (abandoned_) throw;
      failure = e.what();
    }
  };
  std::string id;
  if (ranks.rank() == 0) attempt([&] { id = backend.make_link_id(); });
  id = gather(ranks, id)[0];
  const auto keep_waiting = [this] {
    try {
      linked_->keep_waiting();
    } catch (...) {
      abandoned_ = true;
      throw;
    }
  };
  if (!id.empty()) {
    attempt([&] {
      linked_->link = backend.link_devices(id, ranks.rank(), ranks.ranks(), keep_waiting);
    });
  }
  const std::vector<std::string> failures = gather(ranks, failure);
  for (std::size_t rank = 0; rank < failures.size(); ++rank) {
    if (failures[rank].empty()) continue;
    linked_->link.reset();
    return fmt::format("on rank {} {}", rank, failures[rank]);
  }
  return "";
}

void LinkedRanks::close() {
  if (linked_ && linked_->link) linked_->link->close();
}

}  // namespace renas

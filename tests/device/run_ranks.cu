// Ranks over NCCL: a thread for each device of this machine, at most four. Their sums in the order of the ranks are the host's, bit
// for bit. Without a GPU it says so and returns 77, which ctest shows as skipped.
#include <limbeck/nccl.hpp>

#include "../support/gpu_program.hpp"

#include <limbeck/core/random.hpp>

#include <barrier>
#include <cmath>
#include <thread>

namespace lk = limbeck;

/// Threads that tell each other where the first is to be found; NCCL does the rest.
class thread_rank {
 public:
  struct meeting {
    explicit meeting(int n) : gate(n), said(static_cast<std::size_t>(n)) {}
    std::barrier<> gate;
    std::vector<std::span<const std::byte>> said;
  };
  thread_rank(meeting& with, int rank) : with_(&with), rank_(rank) {}
  int rank() const { return rank_; }
  int size() const { return static_cast<int>(with_->said.size()); }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
    together(mine, [&] {
      auto to = all.begin();
      for (const auto& x : with_->said) to = std::copy(x.begin(), x.end(), to);
    });
  }
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const {
    const std::size_t piece = mine.size() / with_->said.size();
    together(mine, [&] {
      auto to = all.begin();
      for (const auto& x : with_->said) {
        const auto part = x.subspan(static_cast<std::size_t>(rank_) * piece, piece);
        to = std::copy(part.begin(), part.end(), to);
      }
    });
  }
  void broadcast(std::span<std::byte> bytes, int root) const {
    together(bytes, [&] {
      const auto& x = with_->said[static_cast<std::size_t>(root)];
      if (rank_ != root) std::copy(x.begin(), x.end(), bytes.begin());
    });
  }

 private:
  template <class Read>
  void together(std::span<const std::byte> mine, const Read& read) const {
    with_->said[static_cast<std::size_t>(rank_)] = mine;
    with_->gate.arrive_and_wait();
    read();
    with_->gate.arrive_and_wait();
  }
  meeting* with_;
  int rank_;
};

namespace {

using complaints = std::vector<std::string>;

template <class T>
std::vector<T> of_rank(int k, std::size_t n) {
  lk::random_stream random(17 + static_cast<std::uint64_t>(k));
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(static_cast<float>(std::ldexp(random.normal(), static_cast<int>(random.below(12)) - 6)));
  return x;
}
template <class T>
std::vector<T> summed(int ranks, std::size_t n) {
  using number = lk::arithmetic_of_t<T>;
  std::vector<number> sum(n);
  for (int k = 0; k < ranks; ++k) {
    const auto x = of_rank<T>(k, n);
    for (std::size_t i = 0; i < n; ++i) sum[i] = k == 0 ? static_cast<number>(x[i]) : sum[i] + static_cast<number>(x[i]);
  }
  std::vector<T> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<T>(sum[i]);
  return out;
}

template <class T>
void compare_sums(const lk::nccl& devices, const char* type, complaints& out) {
  for (const std::size_t n : {1u, 3u, 1024u, 5000u, 100003u}) {
    const auto mine = of_rank<T>(devices.rank(), n), expected = summed<T>(devices.size(), n);
    thrust::device_vector<T> x(mine.begin(), mine.end());
    std::vector<T> got(n);
    const auto fetch = [&] {
      lk::detail::fetch_from_device(got.data(), thrust::raw_pointer_cast(x.data()), n * sizeof(T), devices.stream());
    };
    const auto expect = [&](bool holds, const char* what) {  // and go on: the others do
      if (!holds) out.push_back(std::string(what) + " of " + std::to_string(n) + " in " + type);
    };
    lk::all_reduce_sum(devices, x);
    fetch();
    expect(std::memcmp(got.data(), expected.data(), n * sizeof(T)) == 0, "sum in order");
    thrust::copy(mine.begin(), mine.end(), x.begin());
    lk::all_reduce_sum(devices, lk::device_span<T>(thrust::raw_pointer_cast(x.data()), n), lk::any_order);
    fetch();
    std::vector<double> off(n);  // less what 8 bits of mantissa explain
    for (std::size_t i = 0; i < n; ++i) off[i] = std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
    for (int k = 0; k < devices.size(); ++k) {
      const auto part = of_rank<T>(k, n);
      for (std::size_t i = 0; i < n; ++i) off[i] -= std::abs(static_cast<double>(part[i])) / 64;
    }
    expect(*std::max_element(off.begin(), off.end()) <= 0, "sum in any order");
  }
}

/// What a communicator promises, and what is made of it on the host.
void compare_bytes(const lk::nccl& devices, complaints& out) {
  static_assert(lk::communicator<lk::nccl>);
  const int n = devices.size();
  const auto all = lk::all_gather(devices, devices.rank() + 1);
  for (int k = 0; k < n; ++k)
    if (all[static_cast<std::size_t>(k)] != k + 1) out.push_back("all_gather");
  for (const std::size_t length : {0u, 1u, 5000u}) {
    auto x = of_rank<double>(devices.rank(), length);
    lk::all_reduce_sum(devices, std::span<double>(x));
    if (x != summed<double>(n, length)) out.push_back("a sum of the host's");
  }
  thrust::device_vector<float> x(12, 1.0f);
  float* const at = thrust::raw_pointer_cast(x.data());
  lk::all_reduce_sum(devices, lk::device_rows<float>(at, 3, 4));
  thrust::device_vector<__nv_bfloat16> halves(2);
  lk::all_reduce_sum(devices, halves);
  bool refused = false;
  try {
    lk::all_reduce_sum(devices, lk::device_rows<float>(at, 3, 2, 4));
  } catch (const lk::value_error&) {
    refused = true;
  }
  if (x[11] != static_cast<float>(n) || !refused) out.push_back("rows");
  std::string text = devices.rank() == n - 1 ? "from the last" : "";
  lk::broadcast(devices, text, n - 1);
  if (text != "from the last") out.push_back("broadcast");
}

}  // namespace

int main() {
  return limbeck_test::on_a_gpu([&](const auto& take) {
    // the kernel has as many parts as there are ranks, of which this machine may have one
    complaints of_kernel;
    const std::size_t n = 1000003;
    std::vector<float> parts;
    for (int k = 0; k < 3; ++k) {
      const auto x = of_rank<float>(k, n);
      parts.insert(parts.end(), x.begin(), x.end());
    }
    thrust::device_vector<float> on_device(parts.begin(), parts.end()), sum(n);
    lk::detail::sum_of_ranks<<<512, 256>>>(thrust::raw_pointer_cast(on_device.data()), n, 3u, thrust::raw_pointer_cast(sum.data()));
    std::vector<float> got(n);
    thrust::copy(sum.begin(), sum.end(), got.begin());
    if (got != summed<float>(3, n)) of_kernel.push_back("sum of parts");
    take("kernel", of_kernel);

    int devices = 0;
    (void)cudaGetDeviceCount(&devices);
    const int ranks = (std::min)(devices, 4);
    thread_rank::meeting with(ranks);
    std::vector<complaints> all(static_cast<std::size_t>(ranks));
    {
      std::vector<std::jthread> threads;
      for (int k = 0; k < ranks; ++k)
        threads.emplace_back([&, k] {
          complaints& mine = all[static_cast<std::size_t>(k)];
          try {
            (void)cudaSetDevice(k);
            const lk::nccl devices_of_all(thread_rank(with, k));
            compare_bytes(devices_of_all, mine);
            compare_sums<float>(devices_of_all, "float", mine);
            compare_sums<double>(devices_of_all, "double", mine);
            compare_sums<lk::bfloat16>(devices_of_all, "bfloat16", mine);
          } catch (const std::exception& e) {
            mine.push_back(e.what());
          }
        });
    }
    for (const complaints& c : all) take("ranks", c);
  });
}

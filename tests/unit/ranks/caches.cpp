// Teacher caches that ranks write: what is read is what one machine would have written, whoever wrote it, in whatever order
// and after whatever crash; and a manifest is there only where all of it is.
#include "ranks.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/io/sharded_teacher_cache_writer.hpp>
#include <limbeck/target/fill.hpp>

#include <unistd.h>

#include <fstream>
#include <numeric>

namespace {

namespace lk = limbeck;
namespace fs = std::filesystem;
using ranks::on_any_ranks;
using ids_t = std::vector<std::uint64_t>;

constexpr std::size_t classes = 7;

template <class C>
void wait(const C& comm) {
  (void)lk::all_gather(comm, 1);
}

/// A folder that all ranks share, gone when all have left it.
template <class C>
struct shared_folder {
  const C& comm;
  fs::path path;
  explicit shared_folder(const C& c) : comm(c) {
    std::string name = "limbeck_ranks_caches_" + std::to_string(::getpid());
    lk::broadcast(comm, name, 0);
    path = fs::temp_directory_path() / name;
    if (comm.rank() == 0) fs::remove_all(path);
    wait(comm);
  }
  ~shared_folder() {
    std::error_code e;
    if (comm.rank() == 0) fs::remove_all(path, e);
  }
  shared_folder(const shared_folder&) = delete;
  shared_folder& operator=(const shared_folder&) = delete;
};

std::vector<float> logits_of(const ids_t& ids) {
  std::vector<float> z;
  for (const std::uint64_t id : ids) {
    lk::random_stream random(100 + id);
    for (std::size_t c = 0; c < classes; ++c) z.push_back(static_cast<float>(random.normal()) * 3);
  }
  return z;
}
/// Three rows a call, in blocks of about as many; the fifth logit of all is @p more than it was.
template <class Writer>
void append(Writer& writer, const ids_t& ids, float more = 0) {
  for (std::size_t r = 0; r < ids.size(); r += 3) {
    const auto at = [&](std::size_t i) { return ids.begin() + static_cast<std::ptrdiff_t>((std::min)(ids.size(), i)); };
    const ids_t some(at(r), at(r + 3));
    std::vector<float> z = logits_of(some);
    if (r == 0) z[4] += more;
    writer.append(some, lk::rows<const float>(z.data(), some.size(), classes));
  }
}
const lk::cache_writing small_blocks{.block_bytes = 64, .seed = 5};

ids_t shuffled(std::uint64_t samples, std::uint64_t seed) {
  ids_t ids(static_cast<std::size_t>(samples));
  std::iota(ids.begin(), ids.end(), 0);
  lk::random_stream(seed).shuffle(ids);
  return ids;
}
/// A rank's share of the ids, uneven: rank 1 has none.
ids_t share(const ids_t& ids, int rank, int size) {
  ids_t mine;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    int whose = static_cast<int>(i * i % static_cast<std::size_t>(size));
    if (whose == 1) whose = 0;
    if (whose == rank) mine.push_back(ids[i]);
  }
  return mine;
}
std::vector<float> rows_of(const lk::teacher_cache& cache, const ids_t& ids) {
  std::vector<float> out(ids.size() * classes);
  lk::fill(cache.target<float>(ids), lk::rows<float>(out.data(), ids.size(), classes));
  return out;
}
/// As a crash leaves it: the file ends within its last block.
void tear(const fs::path& path) { fs::resize_file(path, fs::file_size(path) - 30); }

const std::vector<lk::cache_metadata>& all_kinds() {
  using enum lk::element_type;
  static const std::vector<lk::cache_metadata> all{
      {.classes = classes, .teacher = "t"},
      {.classes = classes, .kind = lk::cache_kind::top_k, .values = float16, .temperature = 2, .k = 3, .teacher = "t"},
      {.classes = classes, .kind = lk::cache_kind::sampled, .values = uint8, .draws = 9, .teacher = "t"}};
  return all;
}

template <class F>
std::string fault(const F& f) {
  return ranks::fault_of<lk::file_error>(f);
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("A cache of ranks has one machine's rows, whoever writes which samples in whatever order") {
  on_any_ranks([](const auto& comm) {
    for (const lk::cache_metadata& metadata : all_kinds()) {
      const std::uint64_t samples = 53;
      const shared_folder here(comm);
      const fs::path alone = here.path / "alone";  // what one machine writes
      {
        lk::sharded_teacher_cache_writer writer(comm, here.path, metadata, small_blocks);
        EXPECT_ON_RANK(!fs::exists(here.path / lk::cache_manifest_name));
        append(writer, share(shuffled(samples, 1), comm.rank(), comm.size()));
        EXPECT_ON_RANK(writer.close({.classes = classes, .samples = samples}) == samples);
      }
      if (comm.rank() == 0) {
        lk::teacher_cache_writer one(alone, metadata, small_blocks);
        append(one, shuffled(samples, 2));
        one.close();
      }
      wait(comm);
      const lk::teacher_cache cache(here.path / lk::cache_manifest_name, {.teacher = "t", .samples = samples}), expected(alone);
      const ids_t epoch = shuffled(samples, 3);  // read by any number, in any order
      EXPECT_ON_RANK(rows_of(cache, epoch) == rows_of(expected, epoch));
      EXPECT_ON_RANK(lk::teacher_cache(here.path).size() == samples);
      wait(comm);
    }
  });
}

TEST_CASE("What a killed run has written is kept, and only the rest is written, on whatever number of ranks") {
  on_any_ranks([](const auto& comm) {
    const lk::one_rank one;
    const std::uint64_t samples = 150;
    for (const bool grows : {true, false}) {  // one rank, then all; or all, then one
      const shared_folder here(comm);
      const auto first_run = [&](const auto& world) {
        lk::sharded_teacher_cache_writer writer(world, here.path, {.classes = classes}, small_blocks);
        ids_t some = shuffled(samples, 7);
        some.resize(90);
        append(writer, share(some, world.rank(), world.size()));
      };
      const auto second_run = [&](const auto& world, std::size_t there) {
        lk::sharded_teacher_cache_writer writer(world, here.path, {.classes = classes}, small_blocks);
        const ids_t rest = writer.missing(samples);
        const std::uint64_t count = lk::all_reduce_sum(world, std::uint64_t{rest.size()});
        EXPECT_ON_RANK(count == samples - there);
        EXPECT_ON_RANK(rest.size() >= count / static_cast<std::size_t>(world.size()) && std::is_sorted(rest.begin(), rest.end()));
        const auto all = lk::all_gather_ragged(world, std::span<const std::uint64_t>(rest)).values;
        EXPECT_ON_RANK(std::adjacent_find(all.begin(), all.end()) == all.end() && std::is_sorted(all.begin(), all.end()));
        append(writer, rest);
        EXPECT_ON_RANK(writer.missing(samples).empty());  // what is pending counts
        EXPECT_ON_RANK(writer.close({.samples = samples}) == samples);
      };
      if (!grows) first_run(comm);
      else if (comm.rank() == 0) first_run(one);
      wait(comm);
      std::uint64_t there = 0;
      if (comm.rank() == 0) {
        tear(here.path / (grows ? "rank0of1.cache" : "rank0of" + std::to_string(comm.size()) + ".cache"));
        there = lk::teacher_cache(here.path).size();
        EXPECT_ON_RANK(there > 80 && there < 90);
      }
      lk::broadcast(comm, std::span<std::uint64_t>(&there, 1), 0);
      EXPECT_ON_RANK(has(fault([&] { lk::teacher_cache(here.path / lk::cache_manifest_name); }), "is not there: nobody has finished"));
      wait(comm);
      if (grows) second_run(comm, there);
      else if (comm.rank() == 0) second_run(one, there);
      wait(comm);
      const ids_t epoch = shuffled(samples, 9);
      EXPECT_ON_RANK(rows_of(lk::teacher_cache(here.path / lk::cache_manifest_name), epoch) == logits_of(epoch));
      wait(comm);
    }
  });
}

TEST_CASE("A manifest is written of whole caches only, and every rank hears why not") {
  on_any_ranks([](const auto& comm) {
    const shared_folder here(comm);
    const bool last = comm.rank() == comm.size() - 1;
    const auto write = [&](const ids_t& mine, const lk::cache_metadata& metadata, std::uint64_t seed, std::size_t samples) {
      lk::sharded_teacher_cache_writer writer(comm, here.path, metadata, {.seed = seed});
      append(writer, mine);
      (void)writer.close({.samples = samples});
    };
    const auto number = static_cast<std::uint64_t>(comm.rank()), size = static_cast<std::uint64_t>(comm.size());
    const auto no_manifest = [&] {
      const bool none = !fs::exists(here.path / lk::cache_manifest_name);
      wait(comm);
      return none;
    };
    EXPECT_ON_RANK(has(fault([&] { write({number}, {.classes = classes}, 0, size + 2); }),
                       ", expected " + std::to_string(size + 2) + ", samples " + std::to_string(size) + " to "));
    EXPECT_ON_RANK(no_manifest());
    if (comm.size() > 1) {
      const std::string guilty = "rank " + std::to_string(size - 1) + " of " + std::to_string(size) + ": ";
      const auto told = [&](const auto& f) { return ranks::fault_of<lk::value_error>(f); };
      EXPECT_ON_RANK(told([&] { write({}, {.classes = last ? classes + 1 : classes}, 0, 0); }) ==
                     "limbeck: " + guilty + "this rank writes a teacher cache whose classes is 8, not 7 as rank 0");
      EXPECT_ON_RANK(has(told([&] { write({}, {.classes = classes}, last ? 1 : 0, 0); }), "draws by the seed 1, rank 0 by 0"));
      EXPECT_ON_RANK(has(told([&] { lk::sharded_teacher_cache_writer(comm, here.path, {.classes = classes}).missing(last ? 3 : 4); }),
                         guilty + "missing(3) is missing(4) of rank 0"));
      EXPECT_ON_RANK(has(fault([&] { write({number + 1, 77}, {.classes = classes}, 0, size + 2); }), "a sample has one shard"));
    }
    const auto another = [&] {  // whoever opens it, with as many ranks or not
      const lk::cache_metadata other{.classes = classes, .teacher = "other"};
      EXPECT_ON_RANK(has(fault([&] { write({}, other, 0, 0); }), "holds a teacher cache whose teacher is"));
      if (comm.rank() == 0)
        EXPECT_ON_RANK(has(fault([&] { lk::sharded_teacher_cache_writer(lk::one_rank{}, here.path, other); }), "whose teacher is"));
    };
    another();
    EXPECT_ON_RANK(no_manifest());

    // a whole cache stays one
    if (comm.rank() == 0) fs::remove_all(here.path);
    wait(comm);
    write({number}, {.classes = classes}, 0, size);
    another();
    wait(comm);
    EXPECT_ON_RANK(lk::teacher_cache(here.path / lk::cache_manifest_name).size() == size);
    wait(comm);
  });
}

TEST_CASE("A cache is not read where its files are not those of its manifest") {
  on_any_ranks([](const auto& comm) {
    if (comm.size() > 2) return;
    const shared_folder here(comm);
    {
      lk::sharded_teacher_cache_writer writer(comm, here.path, {.classes = classes}, small_blocks);
      append(writer, writer.missing(40));
      writer.close({.samples = 40});
    }
    const fs::path shard = here.path / ("rank0of" + std::to_string(comm.size()) + ".cache"), manifest = here.path / lk::cache_manifest_name;
    if (comm.rank() == 0) {
      const auto refused = [&](const fs::path& path) { return fault([&] { (void)lk::teacher_cache(path); }); };
      const auto both = [&](const std::string& words) { return has(refused(manifest), words) && has(refused(here.path), words); };
      const auto content = [](const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
      };
      const auto restore = [](const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; };
      EXPECT_ON_RANK(refused(manifest).empty());

      const std::string whole = content(shard);
      fs::rename(shard, here.path / "away");
      EXPECT_ON_RANK(both("names the shard '" + shard.filename().string() + "', which is not there"));
      { lk::teacher_cache_writer(shard, {.classes = classes}).close(); }
      EXPECT_ON_RANK(both("it was copied in part, or somebody has written to it since"));
      restore(shard, whole);
      EXPECT_ON_RANK(refused(manifest).empty());
      tear(shard);
      EXPECT_ON_RANK(both("copied in part"));
      fs::remove(shard);
      {  // as many rows and bytes, of other logits
        lk::teacher_cache_writer other(shard, {.classes = classes}, small_blocks);
        append(other, lk::teacher_cache(std::vector<fs::path>{here.path / "away"}).ids(), 1);
        other.close();
      }
      EXPECT_ON_RANK(fs::file_size(shard) == whole.size());
      EXPECT_ON_RANK(both("has other rows than its manifest"));
      restore(shard, whole);
      { lk::teacher_cache_writer(here.path / "new.cache", {.classes = classes}).close(); }
      EXPECT_ON_RANK(both("does not name 'new.cache', which lies beside it"));
      fs::remove(here.path / "new.cache");

      const std::string said = content(manifest);
      const std::string head = R"({"format":"limbeck teacher cache","version":)";
      for (const std::string& bad : {std::string(), said.substr(0, said.size() / 2), std::string("[]"), std::string(1000, '['), head + "2}",
                                     head + R"(1,"samples":-1,"shards":[]})", head + R"(1,"samples":1,"shards":[]})",
                                     head + R"(1,"samples":1,"shards":[{"file":"../a.cache","rows":1,"bytes":1,"crc":1}]})"}) {
        restore(manifest, bad);
        EXPECT_ON_RANK(both("is no manifest of a teacher cache"));
      }
      restore(manifest, said);
      EXPECT_ON_RANK(refused(manifest).empty());
      {  // written to again by this number of ranks or another: the manifest goes, and comes again
        const lk::one_rank one;
        lk::sharded_teacher_cache_writer writer(one, here.path, {.classes = classes});
        EXPECT_ON_RANK(has(refused(manifest), "is not there"));
        append(writer, writer.missing(45));
        EXPECT_ON_RANK(writer.close() == 45);
      }
      EXPECT_ON_RANK(refused(manifest).empty());
      tear(shard);
      EXPECT_ON_RANK(has(fault([&] { (void)lk::write_cache_manifest(lk::one_rank{}, here.path); }), "bytes of no whole block"));
    }
    wait(comm);
  });
}

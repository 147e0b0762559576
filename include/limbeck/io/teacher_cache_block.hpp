#ifndef LIMBECK_IO_TEACHER_CACHE_BLOCK_HPP
#define LIMBECK_IO_TEACHER_CACHE_BLOCK_HPP

/// @file
/// Rows of a teacher cache that wait for their block: logits in, stored values out.

#include <limbeck/io/teacher_cache_format.hpp>
#include <limbeck/target/sparse.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

template <class T>
void require_softmax(const std::vector<T>& row, std::size_t r) {
  std::int32_t some = 0, bad = 0;  // without a branch: in packs
  for (const T z : row) {
    some |= z > -infinite<T> ? 1 : 0;
    bad |= z < infinite<T> ? 0 : 1;
  }
  if (some == 0 || bad != 0) throw_no_softmax("logits", r);
}

class cache_block_builder {
 public:
  explicit cache_block_builder(const cache_metadata& m) : metadata_(m) {}

  std::size_t rows() const { return ids_.size(); }
  /// About as many as the block will have.
  std::size_t bytes() const { return values_.size() + 6 * classes_.size() + 24 * ids_.size(); }
  std::array<std::size_t, 6> sizes() const {
    return {ids_.size(), scales_.size(), tails_.size(), offsets_.size(), classes_.size(), values_.size()};
  }
  /// Back to what it was.
  void cut(const std::array<std::size_t, 6>& had) {
    ids_.resize(had[0]);
    scales_.resize(had[1]);
    minima_.resize(had[1]);
    tails_.resize(had[2]);
    offsets_.resize(had[3]);
    classes_.resize(had[4]);
    values_.resize(had[5]);
  }
  void clear() { cut({0, 0, 0, 1, 0, 0}); }
  void add_id(std::uint64_t id) { ids_.push_back(id); }

  template <class T>
  void add_dense(const limbeck::rows<const T>& x) {
    std::vector<T> row(x.classes);
    for (std::size_t r = 0; r < x.samples; ++r) {
      copy_row(x, r, row.data());
      require_softmax(row, r);
      add_values(row.data(), row.size(), r);
    }
  }

  template <class T>
  void add_sparse(const sparse_rows<T>& x) {
    const cache_traits is(metadata_);
    for (std::size_t r = 0; r < x.samples(); ++r) {
      const auto first = static_cast<std::size_t>(x.offsets[r]), last = static_cast<std::size_t>(x.offsets[r + 1]);
      if (first == last) raise<value_error>("limbeck: sparse row " + std::to_string(r) + " keeps no class");
      for (std::size_t i = first; i < last; ++i) {
        if (!(x.log_weights[i] - x.log_weights[i] == 0))
          raise<value_error>("limbeck: log weight " + show(static_cast<double>(x.log_weights[i])) + " in sparse row " +
                             std::to_string(r) + ", expected a finite one");
        classes_.push_back(static_cast<std::uint32_t>(x.ids[i]));
      }
      if (is.counts) {
        for (std::size_t i = first; i < last; ++i) {
          const double count = std::exp(static_cast<double>(x.log_weights[i])) * static_cast<double>(metadata_.draws);
          const double whole = std::nearbyint(count);
          if (!(whole >= 1 && whole <= 255 && std::abs(count - whole) < 1e-2))
            raise<value_error>("limbeck: a weight in sparse row " + std::to_string(r) + " is " + show(count) +
                               " draws, expected a whole number from 1 to 255");
          values_.push_back(static_cast<char>(static_cast<unsigned char>(whole)));
        }
      } else {
        add_values(x.log_weights.data() + first, last - first, r);
      }
      if (is.tails) tails_.push_back(static_cast<float>(x.log_tails[r]));
      if (classes_.size() > 0xffffffffU)
        raise<value_error>("limbeck: a block of a teacher cache holds 2^32 - 1 classes at most");
      offsets_.push_back(static_cast<std::uint32_t>(classes_.size()));
    }
  }

  /// Header, payload and padding of a block behind @p before rows.
  std::string block(std::uint64_t before) const {
    cache_block b;
    b.rows = ids_.size();
    b.before = before;
    b.entries = classes_.size();
    b.arrays = *arrays_of(metadata_, b.rows, b.entries, ~std::uint64_t{0} >> 1U);
    const cache_traits is(metadata_);
    std::string block(cache_header_bytes + rounded_up(b.arrays.bytes, 64), '\0');
    char* const payload = block.data() + cache_header_bytes;
    const auto put = [&](std::size_t at, const auto& array) {
      if (!array.empty()) std::memcpy(payload + at, array.data(), array.size() * sizeof array[0]);
    };
    put(0, ids_);
    put(b.arrays.scales, scales_);
    put(b.arrays.minima, minima_);
    put(b.arrays.tails, tails_);
    if (is.sparse) put(b.arrays.offsets, offsets_);
    if (is.id_bytes == 4) {
      put(b.arrays.ids, classes_);
    } else {
      put(b.arrays.ids, std::vector<std::uint16_t>(classes_.begin(), classes_.end()));
    }
    put(b.arrays.values, values_);
    b.id_crc = crc_of(payload, 8 * ids_.size());
    b.crc = crc_of(payload, b.arrays.bytes);
    block_header(b).copy(block.data(), cache_header_bytes);
    return block;
  }

 private:
  /// The values of a row, as they are stored.
  template <class T>
  void add_values(const T* z, std::size_t n, std::size_t r) {
    const auto refuse = [&](T value) {
      raise<value_error>("limbeck: " + show(static_cast<double>(value)) + " in row " + std::to_string(r) +
                         " is beyond what " + name_of(metadata_.values) + " holds");
    };
    const auto finite = [](auto value) { return value - value == 0; };
    if (metadata_.values == element_type::uint8) {
      double low = infinite<double>, high = -low;
      for (std::size_t i = 0; i < n; ++i) {
        if (!finite(z[i])) continue;
        low = (std::min)(low, static_cast<double>(z[i]));
        high = (std::max)(high, static_cast<double>(z[i]));
      }
      const auto minimum = static_cast<float>(low), scale = static_cast<float>((high - low) / 254);
      if (!finite(minimum) || !finite(minimum + 254 * scale)) refuse(static_cast<T>(finite(minimum) ? high : low));
      scales_.push_back(scale);
      minima_.push_back(minimum);
      const double step = scale > 0 ? 1 / static_cast<double>(scale) : 0;
      char* const out = more(n);
      for (std::size_t i = 0; i < n; ++i) {
        const double steps = finite(z[i]) ? std::floor((static_cast<double>(z[i]) - low) * step + 0.5) : -1;
        out[i] = static_cast<char>(static_cast<unsigned char>(1 + (steps < 254 ? steps : 254)));
      }
      return;
    }
    const auto store = [&]<class Stored>(Stored, auto pack, auto unpack) {
      char* const out = more(n * sizeof(Stored));
      std::int32_t bad = 0;  // without a branch: in packs
      for (std::size_t i = 0; i < n; ++i) {
        const Stored kept = pack(static_cast<float>(z[i]));
        std::memcpy(out + i * sizeof kept, &kept, sizeof kept);
        bad |= (finite(unpack(kept)) ? 0 : 1) & (finite(z[i]) ? 1 : 0);
      }
      for (std::size_t i = 0; bad != 0 && i < n; ++i)
        if (finite(z[i]) && !finite(unpack(pack(static_cast<float>(z[i]))))) refuse(z[i]);
    };
    if (metadata_.values == element_type::float32) {
      const auto same = [](float x) { return x; };
      store(float{}, same, same);
    } else if (metadata_.values == element_type::float16) {
      store(
          std::uint16_t{}, [](float x) { return to_half(x); }, [](std::uint16_t x) { return from_half(x); });
    } else {
      store(
          std::uint16_t{}, [](float x) { return to_bfloat16(x); }, [](std::uint16_t x) { return from_bfloat16(x); });
    }
  }
  /// Room for more bytes of values.
  char* more(std::size_t bytes) {
    const std::size_t had = values_.size();
    values_.resize(had + bytes);
    return values_.data() + had;
  }

  cache_metadata metadata_;
  std::vector<std::uint64_t> ids_;
  std::vector<float> scales_, minima_, tails_;
  std::vector<std::uint32_t> offsets_{0}, classes_;
  std::string values_;
};

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif

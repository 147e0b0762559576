// What is MPI's alone: messages longer than its counts, communicators that are no whole world.
#include "ranks.hpp"

#if LIMBECK_TEST_MPI

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

/// A byte that says whose it is, and where it stood.
std::byte of_rank(int rank, std::size_t i) { return static_cast<std::byte>(rank * 100 + static_cast<int>(i % 97)); }

}  // namespace

TEST_CASE("MPI: a message longer than a count is one element of a type, whose neighbours lie side by side") {
  on_any_ranks([](const lk::mpi& comm) {
    for (const std::size_t bytes : {0u, 1u, 7u, 8u, 9u, 64u, 65u, 1000u}) {
      const lk::detail::mpi_bytes of(bytes, 8);
      int size = 0;
      MPI_Type_size(of.type(), &size);
      EXPECT_ON_RANK(static_cast<std::size_t>(size) * static_cast<std::size_t>(of.count()) == bytes);

      std::vector<std::byte> mine(bytes), all(bytes * static_cast<std::size_t>(comm.size()));
      for (std::size_t i = 0; i < bytes; ++i) mine[i] = of_rank(comm.rank(), i);
      const int done = MPI_Allgather(mine.data(), of.count(), of.type(), all.data(), of.count(), of.type(), comm.handle());
      EXPECT_ON_RANK(done == MPI_SUCCESS);
      for (int k = 0; k < comm.size(); ++k)
        for (std::size_t i = 0; i < bytes; ++i) EXPECT_ON_RANK(all[static_cast<std::size_t>(k) * bytes + i] == of_rank(k, i));
    }
  });
}

TEST_CASE("MPI: the parts of a split are worlds of their own, beside the whole") {
  on_any_ranks([](const lk::mpi& comm) {
    MPI_Comm half = MPI_COMM_NULL;
    MPI_Comm_split(comm.handle(), comm.rank() % 2, -comm.rank(), &half);  // the last rank comes first
    {
      const lk::mpi part(half);
      int expected = 0, members = 0;
      for (int k = comm.rank() % 2; k < comm.size(); k += 2) expected += k, ++members;
      EXPECT_ON_RANK(part.size() == members);
      EXPECT_ON_RANK(lk::all_reduce_sum(part, comm.rank()) == expected);
      const auto order = lk::all_gather(part, comm.rank());
      EXPECT_ON_RANK(order.front() == comm.rank() % 2 + 2 * (members - 1) && order.back() == comm.rank() % 2);
      EXPECT_ON_RANK(lk::all_reduce_sum(comm, 1) == comm.size());
    }
    MPI_Comm_free(&half);
  });
}

TEST_CASE("MPI: a rank outside of a split, and two groups joined, are refused in words") {
  on_any_ranks([](const lk::mpi& comm) {
    const auto fault = [](MPI_Comm of) { return ranks::fault_of<lk::value_error>([&] { const lk::mpi made(of); }); };
    EXPECT_ON_RANK(fault(MPI_COMM_NULL) == "limbeck: mpi is made over MPI_COMM_NULL: this rank belongs to no part of a split");
    if (comm.size() == 1) return;
    const bool first = comm.rank() == 0;
    MPI_Comm side = MPI_COMM_NULL, joined = MPI_COMM_NULL;
    MPI_Comm_split(comm.handle(), first ? 0 : 1, comm.rank(), &side);
    MPI_Intercomm_create(side, 0, comm.handle(), first ? 1 : 0, 7, &joined);
    EXPECT_ON_RANK(fault(joined).starts_with("limbeck: mpi is made over an intercommunicator"));
    MPI_Comm_free(&joined);
    MPI_Comm_free(&side);
  });
}

#endif

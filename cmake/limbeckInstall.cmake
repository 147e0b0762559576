# Headers, the CMake package and the pkg-config files. All of it is independent of the architecture.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(limbeck_config_dir "${CMAKE_INSTALL_DATADIR}/cmake/limbeck")

# An export file for each component, so that one that was not asked for leaves no target behind.
foreach(component IN LISTS limbeck_added)
  set(sets "")
  foreach(set IN ITEMS HEADERS cuda_headers)
    get_target_property(files limbeck_${component} HEADER_SET_${set})
    if(files)
      list(APPEND sets FILE_SET ${set} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    endif()
  endforeach()
  install(TARGETS limbeck_${component} EXPORT limbeck-${component} ${sets})
  install(EXPORT limbeck-${component} NAMESPACE limbeck:: DESTINATION "${limbeck_config_dir}")
  # For a project around this one that exports its own targets from the build folder.
  export(EXPORT limbeck-${component} NAMESPACE limbeck:: FILE "${CMAKE_CURRENT_BINARY_DIR}/limbeck-${component}.cmake")
endforeach()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/limbeckConfig.cmake.in" limbeckConfig.cmake
  INSTALL_DESTINATION "${limbeck_config_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a new minor version may break its users, so it is another package to them.
write_basic_package_version_file(limbeckConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/limbeckConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/limbeckConfigVersion.cmake"
    "${CMAKE_CURRENT_LIST_DIR}/limbeckDependencies.cmake"
  DESTINATION "${limbeck_config_dir}")

# Relative to the file itself: right for absolute install folders and for a prefix chosen at install time.
file(RELATIVE_PATH limbeck_pc_include "${CMAKE_INSTALL_FULL_DATADIR}/pkgconfig" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/limbeck.pc.in" limbeck.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/limbeck.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")

# The components whose needs have .pc files too; the others' are for the user to say.
set(limbeck_pc_eigen "eigen3 >= 3.4")
set(limbeck_pc_xtensor "xtensor >= 0.24, xsimd")
set(limbeck_pc_trainer "nlohmann_json")
set(limbeck_pc_io "nlohmann_json, zlib")
set(limbeck_pc_mpi "ompi-c")  # Open MPI's; over another one `limbeck` and its compiler wrapper
foreach(component IN LISTS limbeck_backends)
  if(DEFINED limbeck_pc_${component})
    set(limbeck_pc_requires "${limbeck_pc_${component}}")
    configure_file("${CMAKE_CURRENT_LIST_DIR}/limbeck-component.pc.in" limbeck-${component}.pc @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/limbeck-${component}.pc"
      DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
  endif()
endforeach()

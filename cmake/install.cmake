include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pjrt)
install(TARGETS pjrt_core EXPORT pjrt-core-targets FILE_SET HEADERS)
install(EXPORT pjrt-core-targets NAMESPACE pjrt:: DESTINATION ${package_dir})
install(TARGETS pjrt_model EXPORT pjrt-model-targets FILE_SET HEADERS)
install(EXPORT pjrt-model-targets NAMESPACE pjrt:: DESTINATION ${package_dir})
if(PJRT_BUILD_CLI)
  install(TARGETS pjrt_cli)
  install(DIRECTORY cli/targets/ DESTINATION ${CMAKE_INSTALL_DATADIR}/pjrt/targets)
endif()

configure_package_config_file(cmake/pjrt-config.cmake.in ${CMAKE_BINARY_DIR}/pjrt-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/pjrt-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/pjrt-config.cmake ${CMAKE_BINARY_DIR}/pjrt-config-version.cmake cmake/FindLibZip.cmake DESTINATION ${package_dir})

# pkg-config, one file a component.
file(RELATIVE_PATH to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})  # may be installed elsewhere, and moved
foreach(component core model)
  configure_file(cmake/pjrt-${component}.pc.in ${CMAKE_BINARY_DIR}/pjrt-${component}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/pjrt-${component}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

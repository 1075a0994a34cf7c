<?php
// SimpleSAMLphp as an identity provider on loopback; everything that it writes is in the folder of this run.
$site = require __DIR__ . '/site.php';
$config = [
    'baseurlpath' => $site['address'],
    'certdir' => $site['folder'],
    'loggingdir' => $site['folder'],
    'datadir' => $site['folder'],
    'tempdir' => $site['folder'],
    'metadatadir' => __DIR__ . '/metadata',
    'metadata.sources' => [['type' => 'flatfile']],
    'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
    'technicalcontact_name' => 'Nobody',
    'technicalcontact_email' => 'nobody@example.org',
    'timezone' => 'UTC',
    'secretsalt' => $site['salt'],
    'auth.adminpassword' => $site['salt'],
    'admin.checkforupdates' => false,
    'enable.saml20-idp' => true,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'logging.level' => SimpleSAML\Logger::INFO,
    'logging.handler' => 'file',
    'logging.logfile' => 'simplesaml.log',
    'session.cookie.secure' => false, // plain HTTP: this machine alone
    'session.cookie.samesite' => null,
    'session.phpsession.savepath' => $site['folder'] . '/sessions',
    'language.cookie.secure' => false,
    'language.cookie.samesite' => null,
    'language.available' => ['en'],
    'language.default' => 'en',
    'store.type' => 'phpsession',
    'authproc.idp' => [],
];

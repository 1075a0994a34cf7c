<?php
// Ourselves, in the shape of Entra ID: its issuer, its names of attributes, a signed assertion in an unsigned response.
$site = require dirname(__DIR__) . '/site.php';
$metadata[$site['entity_id']] = [
    'host' => '__DEFAULT__',
    'privatekey' => 'idp.key',
    'certificate' => 'idp.pem',
    'auth' => 'people',
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    'saml20.sign.assertion' => true,
    'saml20.sign.response' => false,
    'sign.logout' => true,
    'validate.logout' => true,
    'SingleLogoutServiceBinding' => [$site['logout_binding']],
];

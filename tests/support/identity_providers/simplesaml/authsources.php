<?php
// The people of the test, by name and password.
$site = require __DIR__ . '/site.php';
$config = [
    'people' => array_merge(['exampleauth:UserPass'], $site['people']),
];

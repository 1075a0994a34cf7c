<?php
// What differs from run to run; the test writes it before it starts the server.
return json_decode(file_get_contents(getenv('QM_TEST_IDP_FOLDER') . '/site.json'), true);
